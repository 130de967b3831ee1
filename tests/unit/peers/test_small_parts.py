"""Deadlines, reasons and errors by themselves."""

from __future__ import annotations

import asyncio
import errno

import pytest

from core.base.errors import all_error_types
from core.base.events import ConnectPhase
from core.peers.deadlines import Deadlines
from core.peers.errors import PeerError
from core.peers.reasons import SOURCES, CloseCode, CloseReason, closed_by_them, closed_by_us, lost
from tests.support.clock import ManualClock
from tests.support.peers import turns


async def test_deadlines_come_in_order_whatever_order_they_were_set_in() -> None:
    clock, log = ManualClock(), []
    deadlines = Deadlines(clock)
    deadlines.after(60, lambda: log.append("late"))
    await turns()
    deadlines.after(5, lambda: log.append("early"))
    cancelled = deadlines.after(30, lambda: log.append("cancelled"))
    cancelled.cancel()
    await clock.advance(4.9)
    assert log == []
    await clock.advance(0.2)
    assert log == ["early"]
    await clock.advance(60)
    assert log == ["early", "late"]


async def test_without_deadlines_there_is_no_task() -> None:
    clock = ManualClock()
    deadlines = Deadlines(clock)
    before = asyncio.all_tasks()
    deadlines.after(1, lambda: None)
    assert asyncio.all_tasks() != before
    await clock.advance(2)
    assert asyncio.all_tasks() == before
    deadlines.after(1, lambda: None)
    await deadlines.aclose()
    assert asyncio.all_tasks() == before


async def test_a_deadline_that_fails_does_not_stop_the_others() -> None:
    reported: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: reported.append(context))
    clock, log = ManualClock(), []
    deadlines = Deadlines(clock)

    def fails() -> None:
        raise RuntimeError("broken")

    deadlines.after(1, fails)
    deadlines.after(2, lambda: log.append("next"))
    await clock.advance(3)
    assert log == ["next"]
    assert len(reported) == 1


@pytest.mark.parametrize("code", CloseCode)
def test_every_reason_has_words_for_a_person_and_for_cln(code: CloseCode) -> None:
    for reason in (closed_by_us(code), closed_by_them(code, "a detail")):
        assert str(reason)
        assert reason.cln_words(ConnectPhase.HANDSHAKE)
    assert code not in SOURCES or SOURCES[code].startswith("BOLT ")


def test_what_the_sockets_end_means() -> None:
    assert lost(None) == CloseReason(CloseCode.PEER_CLOSED, "", "them")
    reset = ConnectionResetError(errno.ECONNRESET, "whatever the library says")
    assert lost(reset) == CloseReason(CloseCode.NETWORK, "Connection reset by peer", "network")
    assert lost(OSError("odd")).detail == "odd"


def test_every_error_is_made_of_facts_and_says_them() -> None:
    peer_errors = [kind for kind in all_error_types() if issubclass(kind, PeerError)]
    assert len(peer_errors) >= 17
    values = {"node_id": b"\x02" * 33, "attempts": (), "length": 1, "port": 1, "type": 1, "errno": 1}
    for kind in peer_errors:
        names = [name for name in kind.__init__.__annotations__ if name not in ("return", "facts")]
        error = kind(**{name: values.get(name, "text") for name in names})
        assert all(hasattr(error, name) for name in names), kind
        assert type(error).__name__ in str(error)
