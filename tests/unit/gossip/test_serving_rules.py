"""What BOLT 7 forbids to tell, or has told in an order, though the chain was seen to hold it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

from core.base.events import EventBus
from core.bolt.addresses import DNS, Descriptor
from core.bolt.gossip import ChannelAnnouncement, ChannelUpdate, NodeAnnouncement
from core.bolt.gossip_queries import (
    GossipTimestampFilter,
    QueryChannelRange,
    QueryShortChannelIds,
    ReplyChannelRange,
    ReplyShortChannelIdsEnd,
)
from core.gossip.ingest import Taken
from core.gossip.kept_graph import KeptGraph, News
from core.gossip.passing_on import PassingOn
from core.gossip.serving import Recent
from tests.support.clock import ManualClock
from tests.support.peers import until
from tests.unit.gossip.graphs import CHAIN, NOW, channel, node, scid, update
from tests.unit.gossip.test_serving import ALL, Served

Message = ChannelAnnouncement | ChannelUpdate | NodeAnnouncement
ALL_OF_IT = GossipTimestampFilter(CHAIN, 0, ALL)


@contextlib.asynccontextmanager
async def serving(folder: Path, *contents: Message, checked: bool = True) -> AsyncIterator[Served]:
    clock = ManualClock(time=NOW)
    kept = await KeptGraph.open(folder / "gossip_store", CHAIN, EventBus(), clock)
    await keep(kept, *contents, checked=checked)
    made = Served(kept, clock)
    working = asyncio.create_task(made.serving.run())
    try:
        yield made
    finally:
        working.cancel()
        await asyncio.wait([working])
        await kept.aclose()


async def keep(kept: KeptGraph, *contents: Message, checked: bool = True) -> None:
    capacity = 1_000_000 if checked else None
    for one in contents:
        await kept.take([News(one.encode(), capacity if isinstance(one, ChannelAnnouncement) else None)])


async def test_a_spent_channel_is_told_to_who_asks_for_it_alone(tmp_path: Path) -> None:
    living, spent = (channel(1, 1, 2), update(1, 0)), (channel(2, 2, 3), update(2, 0))
    async with serving(tmp_path, *living, *spent) as made:
        await made.kept.mark_dying([int(scid(2))], 900)
        made.serving.set_filter(ALL_OF_IT, 30.0)
        assert await made.all_sent(2) == [one.encode() for one in living]
        made.peer.sent.clear()
        made.serving.ask(QueryChannelRange(CHAIN, 0, ALL))
        (reply,) = await made.all_sent(1)
        assert ReplyChannelRange.decode(reply).short_channel_ids == (int(scid(1)),)
        made.peer.sent.clear()
        made.serving.ask(QueryShortChannelIds(CHAIN, (int(scid(2)),)))
        assert (await made.all_sent(3))[:2] == [one.encode() for one in spent]


async def test_a_node_with_two_dns_names_is_not_passed_on_and_what_was_asked_for_is_told(tmp_path: Path) -> None:
    """The second is told though it came from the very peer that asks."""
    names = tuple(Descriptor(DNS, bytes([len(name)]) + name + b"\x26\x07") for name in (b"a.example", b"b.example"))
    several, plain = replace(node(1), addresses=names), node(2)
    async with serving(tmp_path, channel(1, 1, 2), update(1, 0), several, plain) as made:
        assert made.kept.graph.node(several.node_id).announced  # type: ignore[union-attr]
        made.serving.set_filter(ALL_OF_IT, 30.0)
        assert several.encode() not in await made.all_sent(3)
        made.peer.sent.clear()
        made.serving.heard(plain.encode())
        made.serving.ask(QueryShortChannelIds(CHAIN, (int(scid(1)),)))
        told = await made.all_sent(4)
    assert plain.encode() in told and several.encode() not in told
    assert ReplyShortChannelIdsEnd.decode(told[-1]).full_information


async def test_an_answer_comes_between_what_the_filter_lets_through(tmp_path: Path) -> None:
    """BOLT 7: it does not wait for what was not asked for."""
    contents = [one for number in range(100) for one in (channel(number, 1, 2), update(number, 0))]
    async with serving(tmp_path, *contents) as made:
        made.serving.set_filter(ALL_OF_IT, 30.0)
        await made.clock.advance(0)
        await until(lambda: made.peer.sent)
        made.serving.ask(QueryChannelRange(CHAIN, 0, ALL))
        told = await made.all_sent(201)
    (place,) = [number for number, message in enumerate(told) if message[:2] == b"\x01\x08"]
    assert place < 100


async def test_who_checks_no_channel_does_not_claim_to_know_all(tmp_path: Path) -> None:
    async with serving(tmp_path, channel(1, 1, 2), update(1, 0), checked=False) as made:
        made.serving.ask(QueryShortChannelIds(CHAIN, (int(scid(1)),)))
        (end,) = await made.all_sent(1)
    assert not ReplyShortChannelIdsEnd.decode(end).full_information


def test_of_what_is_new_only_the_last_about_the_same_goes_out() -> None:
    recent = Recent()
    first, later = update(1, 0), update(1, 0, timestamp=NOW + 1, disabled=True)
    other_way, other = update(1, 1), update(2, 0)
    of_node, later_of_node = node(1), node(1, timestamp=NOW + 1, features=b"")
    announced = channel(1, 1, 2)
    for one in (announced, first, of_node, other_way, later, other, later_of_node):
        recent.add(one.encode(), NOW, b"teller" if one is later else b"")
    told = [message for message, _timestamp in recent.after(0)[0]]
    assert told == [one.encode() for one in (announced, other_way, later, other, later_of_node)]
    assert later.encode() not in dict(recent.after(0, b"teller")[0])
    assert first.encode() not in dict(recent.after(0, b"teller")[0]), "obsolete, whoever brought what is newer"


class _Passing:
    def __init__(self, kept: KeptGraph) -> None:
        self.recent = Recent()
        self.passing_on = PassingOn(kept, self.recent)
        self.kept = kept

    async def hear(self, content: ChannelUpdate | NodeAnnouncement) -> None:
        await keep(self.kept, content)
        self.passing_on.taken([Taken(content.encode(), b"\x02" * 33)])

    async def passed(self) -> list[bytes]:
        """All there is to pass."""
        working = asyncio.create_task(self.passing_on.run())
        while self.passing_on.is_busy:
            await asyncio.sleep(0)
        working.cancel()
        await asyncio.wait([working])
        return [message for message, _timestamp in self.recent.after(0)[0]]


async def test_a_channel_is_announced_before_what_is_said_of_it(tmp_path: Path) -> None:
    """Though the update and the node's announcement came while it waited to be announced."""
    async with serving(tmp_path, channel(1, 1, 2), update(1, 0)) as made:
        one = _Passing(made.kept)
        one.passing_on.checked({int(scid(1)): b"\x03" * 33})
        await one.hear(update(1, 1))
        await one.hear(node(1))
        assert one.recent.end == 0
        expected = [channel(1, 1, 2), update(1, 0), update(1, 1), node(1)]
        assert await one.passed() == [content.encode() for content in expected]
        await one.hear(update(1, 1, timestamp=NOW + 1))
        await one.hear(node(2))
        assert (await one.passed())[2:] == [
            content.encode() for content in (node(1), update(1, 1, timestamp=NOW + 1), node(2))
        ]


async def test_nothing_is_passed_on_of_a_spent_channel_but_that_it_is_disabled(tmp_path: Path) -> None:
    async with serving(tmp_path, channel(1, 1, 2), update(1, 0), channel(2, 2, 3), update(2, 0)) as made:
        one = _Passing(made.kept)
        await made.kept.mark_dying([int(scid(1))], 900)
        one.passing_on.checked({int(scid(1)): b""})
        off = update(1, 0, timestamp=NOW + 1, disabled=True)
        await one.hear(node(1))
        await one.hear(off)
        await one.hear(node(2))
        assert await one.passed() == [off.encode(), node(2).encode()]
