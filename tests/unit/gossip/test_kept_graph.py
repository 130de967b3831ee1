"""The graph and its store as one: what is taken is there after a restart, what is gone stays gone."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterator
from pathlib import Path

from core.base.events import EventBus
from core.bolt.gossip import ChannelAnnouncement, ChannelUpdate, NodeAnnouncement
from core.gossip.graph import PRUNE_AFTER_S
from core.gossip.graph_values import GraphChanged, Trust, Verdict
from core.gossip.kept_graph import KeptGraph, News
from tests.support.clock import ManualClock
from tests.unit.gossip.graphs import CHAIN, NOW, channel, node, node_id, scid, update


def news(
    *contents: ChannelAnnouncement | ChannelUpdate | NodeAnnouncement, capacity_sat: int | None = 5000
) -> list[News]:
    return [
        News(content.encode(), capacity_sat if isinstance(content, ChannelAnnouncement) else None)
        for content in contents
    ]


async def opened(folder: Path, bus: EventBus | None = None) -> KeptGraph:
    return await KeptGraph.open(folder / "gossip_store", CHAIN, bus or EventBus(), ManualClock(time=NOW))


def facts(kept: KeptGraph) -> list[object]:
    graph = kept.graph
    return [*graph.channels(), *graph.nodes()]


async def test_what_is_taken_in_any_order_is_there_after_a_restart(tmp_path: Path) -> None:
    kept = await opened(tmp_path)
    batch = news(node(1), update(7, 0), update(7, 1), channel(7, 1, 2))
    assert {applied.verdict for applied in await kept.take(batch)} == {Verdict.NEWS}
    assert {applied.verdict for applied in await kept.take(batch)} == {Verdict.KNOWN}
    await kept.take(news(channel(8, 2, 3), capacity_sat=None))
    before = facts(kept)
    assert kept.graph.channel(int(scid(7))).trust is Trust.CHECKED  # type: ignore[union-attr]
    assert kept.graph.channel(int(scid(8))).trust is Trust.UNCHECKED  # type: ignore[union-attr]
    await kept.aclose()
    again = await opened(tmp_path)
    assert facts(again) == before
    assert again.store.counts.deleted == 0
    assert str(again).endswith("; 1 channels not checked against the chain")
    await again.aclose()


async def test_what_is_newer_takes_the_place_of_what_is_older_in_the_store_too(tmp_path: Path) -> None:
    kept = await opened(tmp_path)
    await kept.take(news(channel(7, 1, 2), update(7, 0, timestamp=NOW - 50), node(1, timestamp=NOW - 50)))
    await kept.take(news(update(7, 0, base_msat=3), node(1, alias=b"later")))
    before = facts(kept)
    await kept.aclose()
    again = await opened(tmp_path)
    assert facts(again) == before
    assert (again.store.counts.deleted, again.store.counts.channel_updates, again.store.counts.nodes) == (2, 1, 1)
    await again.aclose()


async def test_of_one_batch_the_newest_about_the_same_is_taken_alone(tmp_path: Path) -> None:
    kept = await opened(tmp_path)
    first, second, third = update(7, 0, timestamp=NOW - 2), update(7, 0), update(7, 0, base_msat=9)
    applied = await kept.take(news(channel(7, 1, 2), channel(7, 1, 2), first, second, third))
    wanted = [Verdict.NEWS, Verdict.KNOWN, Verdict.KNOWN, Verdict.NEWS, Verdict.KNOWN]
    assert [done.verdict for done in applied] == wanted
    assert kept.graph.channel(int(scid(7))).policies[0].fee_base_msat == 1000  # type: ignore[union-attr]
    assert kept.store.records == 1 + 3  # its id, the channel with its amount, the update
    await kept.aclose()


async def test_what_is_pruned_does_not_come_back(tmp_path: Path) -> None:
    kept = await opened(tmp_path)
    old = NOW - PRUNE_AFTER_S - 1
    batch = news(channel(7, 1, 2), update(7, 0, timestamp=old), update(7, 1, timestamp=old), node(1))
    await kept.take([*batch, *news(channel(8, 2, 3), update(8, 0), update(8, 1))])
    assert await kept.prune(None) == 1
    assert [int(found.short_channel_id) for found in kept.graph.channels()] == [int(scid(8))]
    await kept.aclose()
    again = await opened(tmp_path)
    assert [int(found.short_channel_id) for found in again.graph.channels()] == [int(scid(8))]
    assert again.graph.node(node_id(1)) is None
    assert again.store.report.restored == 0
    await again.aclose()


async def test_a_dying_channel_is_stored_as_core_lightning_has_it(tmp_path: Path) -> None:
    """gossipd/gossmap_manage.c: a note with the height at which it is forgotten, and a flag on all that tells of it."""
    kept = await opened(tmp_path)
    await kept.take(news(channel(7, 1, 2), update(7, 0), channel(8, 2, 3), update(8, 1), node(1)))
    await kept.mark_dying([int(scid(7))], 900)
    await kept.mark_dying([int(scid(8))], 901)
    await kept.go_back(900)
    disabled = update(7, 1, disabled=True)
    await kept.take(news(disabled, update(8, 0)))
    await kept.aclose()
    notes, flagged = [], []
    for flags, message in stored(tmp_path / "gossip_store"):
        if flags & 0x8000 == 0 and message[:2] == b"\x10\x0a":
            notes.append((int.from_bytes(message[2:10], "big"), int.from_bytes(message[10:], "big")))
        if flags & 0x0800:
            flagged.append(message)
    assert notes == [(int(scid(7)), 900 + 72)]
    assert flagged == [channel(7, 1, 2).encode(), update(7, 0).encode(), disabled.encode()]
    again = await opened(tmp_path)
    assert not await again.prune(900 + 71)
    assert await again.prune(900 + 72) == 1
    assert again.graph.channel(int(scid(7))) is None
    await again.aclose()


def stored(path: Path) -> Iterator[tuple[int, bytes]]:
    """Flags and message of each record."""
    content, at = path.read_bytes(), 1
    while at < len(content):
        flags, length = struct.unpack_from(">HH", content, at)
        yield flags, content[at + 12 : at + 12 + length]
        at += 12 + length


async def test_our_own_old_channels_are_spared(tmp_path: Path) -> None:
    kept = await opened(tmp_path)
    old = NOW - PRUNE_AFTER_S - 1
    await kept.take(news(channel(7, 1, 2), update(7, 0, timestamp=old), update(7, 1, timestamp=old)))
    assert await kept.prune(None, spare=node_id(2)) == 0
    assert await kept.prune(None) == 1
    await kept.aclose()


async def test_a_compaction_moves_what_the_graph_points_to(tmp_path: Path) -> None:
    kept = await opened(tmp_path)
    await kept.take(news(channel(7, 1, 2), update(7, 0, timestamp=NOW - 3000)))
    for age in range(1200, 0, -1):
        await kept.take(news(update(7, 0, timestamp=NOW - age)))
    before = kept.store.records
    await kept.compact()
    assert kept.store.records == 4 < before
    found = kept.graph.channel(int(scid(7)))
    assert found is not None and found.policies[0] is not None
    stored = await kept.store.read([found.offset, found.policies[0].offset])
    assert stored == [channel(7, 1, 2).encode(), update(7, 0, timestamp=NOW - 1).encode()]
    await kept.aclose()


async def test_changes_are_told_together_and_the_last_at_the_end(tmp_path: Path) -> None:
    bus = EventBus()
    told: list[GraphChanged] = []
    bus.subscribe(GraphChanged, told.append)
    kept = await opened(tmp_path, bus)
    kept.tell()
    await kept.take(news(channel(7, 1, 2), channel(8, 2, 3)))
    assert told == []
    kept.tell()
    await kept.take(news(update(7, 1)))
    await kept.aclose()
    assert [(event.added, event.updated) for event in told] == [
        ({int(scid(7)), int(scid(8))}, set()),
        (set(), {(int(scid(7)), 1)}),
    ]


async def test_a_cancel_does_not_part_the_graph_from_its_store(tmp_path: Path) -> None:
    kept = await opened(tmp_path)
    taking = asyncio.create_task(kept.take(news(channel(7, 1, 2), update(7, 0))))
    await asyncio.sleep(0)
    taking.cancel()
    await asyncio.wait([taking])
    assert taking.cancelled()
    before = facts(kept)
    assert len(before) == 3
    await kept.aclose()
    again = await opened(tmp_path)
    assert facts(again) == before
    await again.aclose()
