"""A chain server that stalls or dies while the node activates: the step that needed it fails, with that error."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from core.activation.steps import ActivationStep
from core.base.events import StepChanged, StepState, TaskState
from core.chain import electrum_link
from core.chain.bitcoin_rpc import BitcoinRpcSource
from core.chain.errors import ChainUnavailable, ServerStalled
from core.node import Node
from tests.counterparts.bcoin import Bcoin
from tests.counterparts.electrumx import ElectrumX
from tests.counterparts.process import Counterpart
from tests.interop.test_activation_sources import _password, _rpc
from tests.unit.test_node import ended, practice, started

ASKING = (ActivationStep.ACTIVATING_COIN, ActivationStep.GETTING_FEES, ActivationStep.CHANNEL_MANAGER)
"""The steps that ask the chain."""
WAIT_S = 3.0
"""Instead of the 15 and 30 s that a person's node waits; ElectrumX holds small answers back for a second."""


async def _failure(node: Node, status: str, happens: Callable[[], None]) -> BaseException | None:
    """Have it happen as the step begins; the error of the row that failed, which must be that step's."""

    def heard(event: StepChanged) -> None:
        if event.status == status and event.state is StepState.RUNNING:
            happens()

    with node.bus.subscribe(StepChanged, heard):
        assert await ended(node) is TaskState.ERROR
    assert node.task_id is not None
    (failed,) = [row for row in node.tasks.steps(node.task_id) if row.state is StepState.FAILED]
    assert failed.status == status
    assert not node.active
    return failed.error


def _kill(counterpart: Counterpart) -> Callable[[], None]:
    return lambda: os.killpg(counterpart.pid, signal.SIGKILL)


async def _stalls_in_each_then_dies(node: Node, server: Counterpart) -> None:
    assert await ended(node) is TaskState.OK
    await node.deactivate()
    for step in ASKING:
        error = await _failure(node, step, server.pause)
        assert isinstance(error, ServerStalled), step
        server.resume()
        assert await ended(node) is TaskState.OK, "it answers again"
        await node.deactivate()
    error = await _failure(node, ActivationStep.GETTING_FEES, _kill(server))
    assert isinstance(error, ChainUnavailable)
    assert not isinstance(error, ServerStalled)


@pytest.mark.timeout(120)
async def test_an_electrum_server_that_stalls_and_dies(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(electrum_link, "REQUEST_S", WAIT_S)
    async with await Bcoin.start(home / "bcoin") as bitcoin:
        await bitcoin.mine(5)
        async with await ElectrumX.start(home / "electrumx", bitcoin) as server:
            more = ("--chain-source", "electrum", "--electrum-server", server.address)
            async with started(practice(home, *more)) as node:
                await _stalls_in_each_then_dies(node, server)


@pytest.mark.timeout(120)
async def test_a_bitcoin_core_that_stalls_and_dies(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BitcoinRpcSource.open.__func__.__kwdefaults__, "timeout_s", WAIT_S)  # type: ignore[attr-defined]
    async with await Bcoin.start(home / "bcoin") as bitcoin:
        await bitcoin.mine(5)
        async with started(practice(home, *_rpc(bitcoin, _password(home, bitcoin.password)))) as node:
            await _stalls_in_each_then_dies(node, bitcoin)
