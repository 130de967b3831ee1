"""The graph of an active node: read with its store, told, pruned and compacted behind, closed in the end."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from core.activation.services import (
    COMPACT_INTERVAL_S,
    PRUNE_INTERVAL_S,
    TELL_INTERVAL_S,
    BackgroundServices,
    compact_regularly,
    prune_regularly,
    tell_regularly,
)
from core.activation.steps import ActivationStep
from core.base.events import EventBus
from core.bolt.networks import NETWORKS
from core.channels.trusted import TrustedNodes
from core.gossip import rapid_file
from core.gossip.graph import PRUNE_AFTER_S
from core.gossip.graph_values import GraphChanged, Trust
from core.gossip.kept_graph import KeptGraph, News
from core.storage.errors import ProfileUnusable
from tests.support.chains import FeeChain
from tests.support.clock import ManualClock
from tests.support.peers import until
from tests.support.rapid_snapshot import Channel, Content, write_snapshot
from tests.unit.activation.rig import make_rig
from tests.unit.gossip.graphs import channel, node, node_id, scid, update
from tests.unit.gossip.test_kept_graph import news

REGTEST = NETWORKS["regtest"]
NOW = int(time.time())


async def put(path: Path, batch: list[News]) -> None:
    kept = await KeptGraph.open(path, REGTEST.chain_hash, EventBus(), ManualClock(time=NOW))
    await kept.take(batch)
    await kept.aclose()


async def test_activation_fills_the_graph_from_the_store_and_closes_it_in_the_end(tmp_path: Path) -> None:
    async with make_rig(tmp_path) as rig:
        await put(rig.paths.gossip_store, news(channel(7, 1, 2), update(7, 0, timestamp=NOW), node(1, timestamp=NOW)))
        lightning = await rig.run()
        assert rig.details()[ActivationStep.READING_GRAPH].startswith("1 channels, 1 nodes in ")
        found = lightning.graph.channel(int(scid(7)))
        assert found is not None and found.policies[0] is not None
        assert [held.node_id for held in lightning.graph.nodes()] == [node_id(1), node_id(2)]
        await lightning.kept.take(news(channel(8, 2, 3)))
        await lightning.aclose()
        again = await rig.run()
        assert len(again.graph) == 2
        await again.aclose()
        await rig.assert_released()


async def test_activation_lays_the_kept_snapshots_over_the_graph(tmp_path: Path) -> None:
    snapshot = write_snapshot(Content([Channel(int(scid(9)), node_id(1), node_id(2))]), NOW)
    async with make_rig(tmp_path) as rig:
        rapid_file.write(rig.paths.rapid_gossip, [snapshot])
        await put(rig.paths.gossip_store, news(channel(7, 1, 2), update(7, 0, timestamp=NOW)))
        lightning = await rig.run()
        assert rig.details()[ActivationStep.READING_GRAPH].endswith("; 1 channels of an unsigned snapshot")
        trusts = {int(found.short_channel_id): found.trust for found in lightning.graph.channels()}
        assert trusts == {int(scid(7)): Trust.UNCHECKED, int(scid(9)): Trust.OVERLAY}
        await lightning.aclose()
        await rig.assert_released()


async def test_what_is_cut_off_is_told_and_the_rest_is_in_the_graph(tmp_path: Path) -> None:
    async with make_rig(tmp_path) as rig:
        await put(rig.paths.gossip_store, news(channel(7, 1, 2), channel(8, 1, 2), update(8, 0, timestamp=NOW)))
        whole = rig.paths.gossip_store.read_bytes()
        rig.paths.gossip_store.write_bytes(whole[:-20])
        lightning = await rig.run()
        assert "cut off" in rig.details()[ActivationStep.READING_GRAPH]
        assert [found.policies for found in lightning.graph.channels()] == [(None, None)] * 2
        await lightning.aclose()


async def test_a_failure_after_the_graph_was_read_closes_its_store(tmp_path: Path) -> None:
    async with make_rig(tmp_path) as rig:
        await put(rig.paths.gossip_store, news(channel(7, 1, 2)))
        kept: list[KeptGraph] = []

        async def opened(progress: object) -> KeptGraph:
            kept.append(await KeptGraph.open(rig.paths.gossip_store, REGTEST.chain_hash, rig.bus, rig.clock))
            await kept[0].take(news(channel(8, 1, 2)))  # so that the file is open
            return kept[0]

        async def refused() -> TrustedNodes:
            raise ProfileUnusable(path=rig.paths.folder, reason="it is full")

        rig.overrides |= {"open_graph": opened, "open_trusted": refused}
        with pytest.raises(ProfileUnusable, match="full"):
            await rig.run()
        assert kept[0].store._file is None
        await rig.assert_released()


async def test_changes_are_told_once_a_second_together(tmp_path: Path) -> None:
    bus, clock = EventBus(), ManualClock(time=NOW)
    told: list[GraphChanged] = []
    bus.subscribe(GraphChanged, told.append)
    kept = await KeptGraph.open(tmp_path / "gossip_store", REGTEST.chain_hash, bus, clock)
    services = BackgroundServices(lambda error: None)
    services.start(lambda: tell_regularly(kept, clock))
    await kept.take(news(channel(7, 1, 2)))
    await kept.take(news(channel(8, 1, 2)))
    await clock.advance(TELL_INTERVAL_S - 0.01)
    assert told == []
    await clock.advance(0.02)
    assert [event.added for event in told] == [{int(scid(7)), int(scid(8))}]
    await clock.advance(5 * TELL_INTERVAL_S)
    assert len(told) == 1
    await services.aclose()
    await kept.aclose()


async def test_what_is_dead_goes_after_an_hour_and_not_at_the_start_and_ours_stays(tmp_path: Path) -> None:
    clock = ManualClock(time=NOW)
    kept = await KeptGraph.open(tmp_path / "gossip_store", REGTEST.chain_hash, EventBus(), clock)
    old = NOW - PRUNE_AFTER_S - 1
    for number, ends in ((7, (1, 2)), (8, (3, 4))):
        await kept.take(news(channel(number, *ends), *(update(number, way, timestamp=old) for way in (0, 1))))
    kept.graph.mark_dying(int(scid(8)), 10)
    problems: list[BaseException] = []
    services = BackgroundServices(problems.append)
    services.start(lambda: prune_regularly(kept, FeeChain(), node_id(1), clock, problems.append))
    await clock.advance(PRUNE_INTERVAL_S - 1)
    assert len(kept.graph) == 2
    await clock.advance(2)
    await until(lambda: len(kept.graph) == 1)
    assert kept.graph.channel(int(scid(7))) is not None
    assert problems == []
    await services.aclose()
    await kept.aclose()


async def test_a_store_of_which_most_is_deleted_is_rewritten_within_minutes(tmp_path: Path) -> None:
    clock = ManualClock(time=NOW)
    kept = await KeptGraph.open(tmp_path / "gossip_store", REGTEST.chain_hash, EventBus(), clock)
    await kept.take(news(channel(7, 1, 2)))
    for age in range(1200, 0, -1):
        await kept.take(news(update(7, 0, timestamp=NOW - age)))
    grown = (tmp_path / "gossip_store").stat().st_size
    problems: list[BaseException] = []
    services = BackgroundServices(problems.append)
    services.start(lambda: compact_regularly(kept, clock, problems.append))
    await clock.advance(COMPACT_INTERVAL_S + 1)
    await until(lambda: (tmp_path / "gossip_store").stat().st_size < grown // 100)
    assert problems == []
    await services.aclose()
    await kept.aclose()


async def test_a_disk_that_refuses_is_told_and_tried_again(tmp_path: Path) -> None:
    clock = ManualClock(time=NOW)
    (tmp_path / "folder").mkdir()
    kept = await KeptGraph.open(tmp_path / "folder" / "gossip_store", REGTEST.chain_hash, EventBus(), clock)
    kept.graph.add_channel(channel(7, 1, 2), capacity_sat=1, trust=Trust.CHECKED, heard=1, offset=1)
    (tmp_path / "folder").rmdir()
    problems: list[BaseException] = []
    services = BackgroundServices(problems.append)
    services.start(lambda: prune_regularly(kept, FeeChain(), node_id(9), clock, problems.append))
    await clock.advance(PRUNE_INTERVAL_S + 1)
    await until(lambda: len(problems) == 1)
    assert isinstance(problems[0], ProfileUnusable)
    await services.aclose()
