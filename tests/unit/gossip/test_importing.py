"""Another node's store taken in: the genuine, and nothing else of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from core.base.clock import SystemClock
from core.base.events import EventBus
from core.bolt.gossip import ChannelAnnouncement, ChannelUpdate
from core.bolt.networks import NETWORKS
from core.gossip import importing
from core.gossip.errors import VerificationFailed
from core.gossip.graph_values import Trust
from core.gossip.importing import ImportReport, StoreImporter
from core.gossip.kept_graph import KeptGraph
from core.gossip.limits import LONGEST_RECORD
from core.gossip.store import open_gossip_store
from core.gossip.store_format import channel_amount
from core.storage.errors import ProfileUnusable
from tests.support.network import Network, make_network

REGTEST = NETWORKS["regtest"]
TODAY = int(time.time()) // 86_400 * 86_400


def network(channels: int = 60, chain: str = "regtest") -> Network:
    return make_network(5, channels, network=NETWORKS[chain], now_s=TODAY)


async def stored(path: Path, messages: list[bytes]) -> None:
    """A store as another node would have it, amounts included."""
    store = await open_gossip_store(path)
    for message in messages:
        amount = [(channel_amount(123_456), 0)] if message[:2] == b"\x01\x00" else []
        await store.append([(message, TODAY), *amount])
    await store.aclose()


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[KeptGraph]:
    kept = await KeptGraph.open(folder / "gossip_store", REGTEST.chain_hash, EventBus(), SystemClock())
    try:
        yield kept
    finally:
        await kept.aclose()


def facts(kept: KeptGraph) -> dict[object, object]:
    """All that was said of channels and nodes, but not where it stands or when it was heard."""
    channels = {
        channel.short_channel_id: (
            channel.node_id_1,
            channel.node_id_2,
            [policy and (policy.timestamp, policy.fee_base_msat) for policy in channel.policies],
        )
        for channel in kept.graph.channels()
    }
    nodes = {node.node_id: node.announced and node.announced.alias for node in kept.graph.nodes()}
    return {**channels, **nodes}


async def test_a_whole_store_is_taken_in_as_unchecked_and_is_there_after_a_restart(tmp_path: Path) -> None:
    made = network()
    await stored(tmp_path / "theirs", list(made))
    before = (tmp_path / "theirs").read_bytes()
    told: list[tuple[int, int]] = []
    async with opened(tmp_path) as kept:
        importer = StoreImporter(kept, SystemClock())
        unchecked: list[int] = []
        importer.channels_came = lambda: unchecked.append(kept.graph.unchecked_count)
        report = await importer.run(tmp_path / "theirs", lambda done, total: told.append((done, total)))
        assert unchecked[-1] == 60, "told once they are there"
        assert report == ImportReport(60, 120, len(made.node_announcements), 0, 0, 0, None)
        assert kept.graph.unchecked_count == 60
        assert {(channel.trust, channel.capacity_sat) for channel in kept.graph.channels()} == {(Trust.UNCHECKED, None)}
        again = await importer.run(tmp_path / "theirs")
        assert again == ImportReport(0, 0, 0, 180 + len(made.node_announcements), 0, 0, None)
        seen = facts(kept)
        assert len(seen) == 60 + len(made.node_announcements)
        assert None not in seen.values()
        await importer.aclose()
    assert (tmp_path / "theirs").read_bytes() == before
    assert told[-1][0] == told[-1][1] == len(before)
    async with opened(tmp_path) as kept:
        assert facts(kept) == seen


async def test_what_is_forged_malformed_old_or_foreign_is_left_out_and_counted(tmp_path: Path) -> None:
    made = network()
    good = made.channel_announcements
    forged = bytearray(good[0])
    forged[40] ^= 1
    wrong = bytearray(made.channel_updates[2])
    wrong[40] ^= 1  # within the signature
    node = bytearray(made.node_announcements[0])
    node[-1] ^= 1
    foreign = network(3, "signet").channel_announcements[0]
    old, ahead = (
        made.update(1, direction, timestamp=TODAY + late) for direction, late in ((1, -15 * 86_400), (0, 200_000))
    )
    mixed = [
        bytes(forged),
        good[1],
        bytes(wrong),
        old,
        ahead,
        made.channel_updates[5],
        foreign,
        bytes(node),
        good[2][:300],
    ]
    await stored(tmp_path / "theirs", mixed)
    async with opened(tmp_path) as kept:
        report = await StoreImporter(kept, SystemClock()).run(tmp_path / "theirs")
        assert [int(channel.short_channel_id) for channel in kept.graph.channels()] == [
            int(ChannelAnnouncement.decode(good[1]).short_channel_id)
        ]
        assert report.channels == 1
        assert report.updates == 0  # the only genuine one is of a channel that is not there
        assert report.refused == 3  # forged, wrong, cut short
        assert report.passed_over == 5  # old, ahead, foreign, of an unknown channel, of an unknown node
        assert (
            sum((report.channels, report.updates, report.nodes, report.known, report.refused, report.passed_over)) == 9
        )


async def test_no_more_unchecked_channels_than_there_is_room_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "UNCHECKED", 7)
    await stored(tmp_path / "theirs", list(network().channel_announcements))
    async with opened(tmp_path) as kept:
        report = await StoreImporter(kept, SystemClock()).run(tmp_path / "theirs")
        assert (report.channels, report.passed_over, len(kept.graph)) == (7, 53, 7)


async def test_a_message_longer_than_any_is_passed_over(tmp_path: Path) -> None:
    """It would lie in our file, and what a node says of itself in memory."""
    made = network()
    long = made.update(0, 0) + bytes(LONGEST_RECORD)
    await stored(tmp_path / "theirs", [made.channel_announcements[0], long])
    async with opened(tmp_path) as kept:
        report = await StoreImporter(kept, SystemClock()).run(tmp_path / "theirs")
        assert (report.channels, report.updates, report.refused, report.passed_over) == (1, 0, 0, 1)


async def test_a_damaged_store_gives_what_can_be_read_and_says_what_not(tmp_path: Path) -> None:
    await stored(tmp_path / "theirs", list(network().channel_announcements))
    whole = (tmp_path / "theirs").read_bytes()
    (tmp_path / "theirs").write_bytes(whole[:-100])
    async with opened(tmp_path) as kept:
        report = await StoreImporter(kept, SystemClock()).run(tmp_path / "theirs")
        assert report.channels >= 59
        assert report.left_out is not None


async def test_what_is_no_store_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello")
    async with opened(tmp_path) as kept:
        importer = StoreImporter(kept, SystemClock())
        for name in ("text", "missing", "."):
            with pytest.raises(ProfileUnusable):
                await importer.run(tmp_path / name)
        assert len(kept.graph) == 0


async def test_the_end_of_the_node_ends_an_import_and_whoever_waits_is_told(tmp_path: Path) -> None:
    await stored(tmp_path / "theirs", list(network()))
    async with opened(tmp_path) as kept:
        importer = StoreImporter(kept, SystemClock())
        running = [asyncio.create_task(importer.run(tmp_path / "theirs")) for _ in range(2)]
        await asyncio.sleep(0)
        await importer.aclose()
        for task in running:
            with pytest.raises(VerificationFailed, match="the node stops"):
                await task
        with pytest.raises(VerificationFailed, match="the node stops"):
            await importer.run(tmp_path / "theirs")
        await importer.aclose()


async def test_who_is_cancelled_stops_its_import(tmp_path: Path) -> None:
    await stored(tmp_path / "theirs", list(network()))
    async with opened(tmp_path) as kept:
        importer = StoreImporter(kept, SystemClock())
        running = asyncio.create_task(importer.run(tmp_path / "theirs"))
        await asyncio.sleep(0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        report = await importer.run(tmp_path / "theirs")
        assert report.channels + report.known > 0
        await importer.aclose()


async def test_updates_are_verified_by_the_key_of_their_direction(tmp_path: Path) -> None:
    made = network()
    update = ChannelUpdate.decode(made.channel_updates[0])
    flipped = bytearray(made.channel_updates[0])
    flipped[111] ^= 1  # the direction: what the other end would have to sign
    await stored(tmp_path / "theirs", [made.channel_announcements[0], bytes(flipped)])
    async with opened(tmp_path) as kept:
        report = await StoreImporter(kept, SystemClock()).run(tmp_path / "theirs")
        assert (report.updates, report.refused) == (0, 1)
        assert kept.graph.channel(int(update.short_channel_id)).policies == (None, None)  # type: ignore[union-attr]
