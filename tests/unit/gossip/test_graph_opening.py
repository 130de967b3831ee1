"""The graph's image: whatever lies beside a store, the graph is what its records say, and so is what damage is told."""

from __future__ import annotations

import asyncio
import logging
import random
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from core.base.events import EventBus
from core.bolt.gossip import ChannelAnnouncement, ChannelUpdate, NodeAnnouncement
from core.gossip import graph_image, graph_opening, store_file
from core.gossip.graph_image import decode_image
from core.gossip.graph_opening import image_of, open_graph
from core.gossip.graph_values import Trust
from core.gossip.kept_graph import KeptGraph, News
from core.gossip.rapid import read_snapshot
from core.gossip.rapid_overlay import lay
from core.gossip.store import open_gossip_store
from core.gossip.store_file import temporary_of
from core.gossip.store_format import HEADER
from core.storage.errors import ProfileUnusable
from tests.support.clock import ManualClock
from tests.support.rapid_snapshot import Channel, Content, Node, write_snapshot
from tests.unit.gossip.graphs import CHAIN, NOW, channel, node, node_id, scid, update
from tests.unit.gossip.rapid_parts import done
from tests.unit.storage.children import run_until_byte

NUMBERS = st.integers(0, 7)
BATCHES = st.lists(
    st.one_of(
        st.builds(
            lambda number, features, sat: _news(channel(number, number, number + 1, features=features), sat),
            NUMBERS,
            st.sampled_from([b"", b"\x02", bytes(300)]),
            st.sampled_from([None, 70_000]),
        ),
        st.builds(
            lambda number, direction, age: _news(update(number, direction, timestamp=NOW - age)),
            NUMBERS,
            st.integers(0, 1),
            st.sampled_from([0, 5, 15 * 24 * 3600]),
        ),
        st.builds(
            lambda number, age, alias: _news(node(number, timestamp=NOW - age, alias=alias)),
            NUMBERS,
            st.integers(0, 5),
            st.binary(max_size=32),
        ),
    ),
    max_size=30,
)
ACTS = st.lists(
    st.tuples(st.just("take"), BATCHES)
    | st.tuples(st.sampled_from(["check", "remove", "mark_dying"]), NUMBERS)
    | st.tuples(st.just("go_back"), st.integers(100, 110))
    | st.tuples(st.sampled_from(["prune", "compact", "restart"]), st.none()),
    min_size=2,
    max_size=7,
)


@pytest.fixture(autouse=True)
def of_any_size() -> Iterator[None]:
    """Small stores have an image too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(graph_opening, "LEAST_BYTES", 0)
        yield


def _news(content: ChannelAnnouncement | ChannelUpdate | NodeAnnouncement, capacity_sat: int | None = None) -> News:
    return News(content.encode(), capacity_sat)


async def opened(path: Path, time: float = NOW) -> KeptGraph:
    return await KeptGraph.open(path, CHAIN, EventBus(), ManualClock(time=time))


async def made(folder: Path, channels: int = 20) -> Path:
    """A store with its image, as a stop leaves them."""
    path = folder / "gossip_store"
    kept = await opened(path)
    batch = [_news(channel(number, number % 5, 6, features=b"\x01" * (number % 3)), 5000) for number in range(channels)]
    batch += [_news(update(number, number % 2, base_msat=number)) for number in range(channels)]
    batch += [_news(node(number, alias=b"%d" % number)) for number in range(7)]
    await kept.take(batch)
    await kept.mark_dying([int(scid(3))], 400)
    await kept.aclose()
    assert image_of(path).exists()
    return path


def whole(kept: KeptGraph) -> dict[str, Any]:
    """All that it is made of, to the byte."""
    graph = kept.graph
    tables = (graph.channel_table, graph.direction_table, graph.node_table)
    ids = graph.channels_between(0, 1 << 24)
    return {
        "tables": [table.records[: table.used].tobytes() for table in tables],
        "nodes": (graph.node_ids, graph.node_rows, graph.node_texts),
        "features": graph.channel_features,
        "counts": (len(graph), graph.checked_count, graph.overlay_count, graph.node_count),
        "ids": ids.tolist(),
        "rows": [graph.row_of(int(short_channel_id)) for short_channel_id in ids],
        "dying": (graph._dying, kept._dying),
        "report": kept.store.report,
        "records": kept.store.records,
        "changes": graph.take_changes(),
    }


async def both_ways(store: bytes, image: bytes) -> bool:
    """Open a store with and without what is an image or not; gives whether that was believed."""
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(store_file.secrets, "token_bytes", bytes)
        walked = []
        patch.setattr(graph_opening, "open_gossip_store", _noting(walked))
        for name, beside in (("with", image), ("without", None)):
            path = Path(folder) / name / "gossip_store"
            path.parent.mkdir()
            path.write_bytes(store)
            if beside is not None:
                image_of(path).write_bytes(beside)
            kept = await opened(path)
            found.append({**whole(kept), "file": path.read_bytes()})
            damage = found[-1]["report"].damage
            found[-1]["report"] = str(found[-1]["report"]), damage is not None and damage.reason
    assert found[0] == found[1]
    return len(walked) == 1


def _noting(walked: list[Path]) -> Any:
    async def walk(path: Path, progress: Any) -> Any:
        walked.append(path)
        return await open_gossip_store(path, progress)

    return walk


async def act(kept: KeptGraph, what: str, argument: Any) -> None:
    match what:
        case "take":
            await kept.take(argument)
        case "check":
            await kept.check({int(scid(argument)): 60_000})
        case "remove":
            await kept.remove([int(scid(argument))])
        case "mark_dying":
            await kept.mark_dying([int(scid(argument))], 108)
        case "go_back":
            await kept.go_back(argument)
        case "prune":
            await kept.prune(150)
        case "compact":
            kept.graph.move_offsets(*_moved(await kept.store.compact()))


def _moved(moved: Any) -> tuple[Any, Any]:
    return moved.old, moved.new


@settings(
    max_examples=25, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate]
)  # shrinking takes minutes
@given(ACTS, st.randoms(use_true_random=False))
def test_after_a_kill_between_any_two_writes_or_a_flip_the_graph_is_what_the_records_say(
    acts: list[tuple[str, Any]], chance: random.Random
) -> None:
    asyncio.run(_kills(acts, chance))


async def _kills(acts: list[tuple[str, Any]], chance: random.Random) -> None:
    stores: list[bytes] = []
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        path = Path(folder) / "gossip_store"
        write_at = store_file._write_at

        def noted(handle: int, content: bytes | bytearray, offset: int) -> int:
            written = write_at(handle, content, offset)
            if path.exists():
                stores.append(path.read_bytes())
            return written

        patch.setattr(store_file, "_write_at", noted)
        images, kept = [], await opened(path)
        await kept.take([_news(channel(0, 0, 1))])
        for what, argument in [*acts, ("restart", None)]:
            if what == "compact" and kept._dying:
                continue  # its notes are moved by what decides whether it is worth it
            if what == "restart":
                await kept.aclose()
                images.append((image_of(path).read_bytes(), path.read_bytes()))
                kept = await opened(path)
            else:
                await act(kept, what, argument)
        await kept.aclose()
    for image, store in images:
        assert await both_ways(store, image), "an image of the very store is believed"
        for other in chance.sample(stores, min(3, len(stores))):
            assert await both_ways(other, image) == (other == store)
        assert not await both_ways(_flipped(store, chance), image)
        assert not await both_ways(store, _flipped(image, chance))


def _flipped(content: bytes, chance: random.Random) -> bytes:
    place = chance.randrange(len(content))
    return content[:place] + bytes([content[place] ^ 1 << chance.randrange(8)]) + content[place + 1 :]


async def test_time_passes_between_stop_and_start(tmp_path: Path) -> None:
    path = await made(tmp_path)
    kept = await opened(path, NOW + 100)
    assert {each.heard for each in kept.graph.channels()} == {NOW + 100}
    await kept.aclose()


async def test_a_graph_from_an_image_lives_on_like_any_other(tmp_path: Path) -> None:
    path = await made(tmp_path)
    kept = await opened(path)
    dying = kept.graph.channel(int(scid(3)))
    assert dying is not None and dying.dying
    await kept.take([_news(channel(90, 90, 91), 8000), _news(update(3, 1, disabled=True)), _news(node(90))])
    assert await kept.prune(400 + 72) == 1
    await kept.check({int(scid(4)): 5})
    await kept.store.compact()
    await kept.aclose()
    assert await both_ways(path.read_bytes(), image_of(path).read_bytes())
    again = await opened(path)
    found = again.graph.channel(int(scid(90)))
    assert found is not None and found.trust is Trust.CHECKED
    assert again.graph.channel(int(scid(3))) is None
    await again.aclose()


async def test_it_stands_for_one_chain_and_one_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = await made(tmp_path)
    content = image_of(path).read_bytes()
    other = await open_graph(path, bytes(32), ManualClock(), lambda *_: None)
    assert (len(other.graph), other.graph.chain_hash) == (0, bytes(32))
    assert decode_image(content) is not None
    monkeypatch.setattr(graph_image, "PROGRAM", "a later one")
    assert decode_image(content) is None
    assert not await both_ways(path.read_bytes(), content)


async def test_what_an_interrupted_compaction_left_is_cleared_away_as_ever(tmp_path: Path) -> None:
    path = await made(tmp_path)
    temporary_of(path).write_bytes(b"half")
    await (await opened(path)).aclose()
    assert not temporary_of(path).exists()


async def test_the_overlay_is_not_in_it(tmp_path: Path) -> None:
    path = tmp_path / "gossip_store"
    kept = await opened(path)
    await kept.take([_news(channel(1, 1, 2), 5000)])
    unsigned = Content([Channel(int(scid(2)), node_id(2), node_id(3))], [], [Node(node_id(3), b"\x80", ())])
    await kept.lay(lay(kept.graph, done(read_snapshot(write_snapshot(unsigned, NOW)))))
    assert kept.graph.overlay_count == 1
    await kept.aclose()
    assert await both_ways(path.read_bytes(), image_of(path).read_bytes())
    again = await opened(path)
    assert (len(again.graph), again.graph.overlay_count, again.graph.node_count) == (1, 0, 2)
    await again.aclose()


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("content", "1 damaged records left out"),
        ("mark", "1 records back that nothing had deleted"),
        ("tail", "7 bytes of an unfinished record cut off"),
    ],
)
async def test_a_store_that_was_damaged_while_the_node_ran_gets_none(tmp_path: Path, what: str, told: str) -> None:
    """The next start has to tell."""
    path = await made(tmp_path)
    kept = await opened(path)
    announced = kept.graph.node(node_id(1))
    assert announced is not None and announced.announced is not None
    content, offset = bytearray(path.read_bytes()), announced.announced.offset
    if what == "tail":
        content += bytes(7)
    else:
        content[offset + 10 if what == "content" else offset - HEADER.size] ^= 0x80
    path.write_bytes(content)
    await kept.aclose()
    again = await opened(path)
    assert told in str(again.store.report)
    await again.aclose()


async def test_it_is_made_only_where_there_is_something_new_in_a_store_that_is_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = await made(tmp_path)
    looked = []
    monkeypatch.setattr(graph_opening, "look_at_store", looked.append)
    kept = await opened(path)
    await kept.aclose()
    await kept.aclose()
    assert looked == []
    image_of(path).unlink()
    monkeypatch.setattr(graph_opening, "LEAST_BYTES", path.stat().st_size + 1)
    await (await opened(path)).aclose()
    assert looked == [] and not image_of(path).exists()
    nowhere = await KeptGraph.open(None, CHAIN, EventBus(), ManualClock(time=NOW))
    await nowhere.take([_news(channel(1, 1, 2))])
    await nowhere.aclose()


async def test_a_disk_that_refuses_it_does_not_keep_the_node_from_stopping(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(path: Path, _content: bytes) -> None:
        raise ProfileUnusable(path=path, reason="No space left on device")

    path = await made(tmp_path)
    image_of(path).unlink()
    monkeypatch.setattr(graph_opening, "write_atomically", refuse)
    kept = await opened(path)
    with caplog.at_level(logging.WARNING):
        await kept.aclose()
    assert "No space left on device" in caplog.text
    assert await both_ways(path.read_bytes(), b"") is False


async def test_a_folder_in_its_place_is_passed_over(tmp_path: Path) -> None:
    path = await made(tmp_path)
    image_of(path).unlink()
    image_of(path).mkdir()
    kept = await opened(path)
    assert len(kept.graph) == 20
    await kept.aclose()


STOP = """
import asyncio, sys
from pathlib import Path
from core.base.clock import SystemClock
from core.gossip import graph_opening
from tests.unit.gossip.graphs import CHAIN

graph_opening.LEAST_BYTES = 0
asyncio.run(graph_opening.keep_image(Path(sys.argv[1]), CHAIN, SystemClock()))
"""


@pytest.mark.parametrize("share", [0.0, 0.6])
async def test_a_kill_while_it_is_written_leaves_the_one_before(tmp_path: Path, share: float) -> None:
    path = await made(tmp_path, 200)
    store, before = path.read_bytes(), image_of(path).read_bytes()
    kept = await opened(path)
    await kept.take([_news(update(1, 0))])
    shutil.copy(image_of(path), tmp_path / "before")
    await kept.store.aclose()
    child = run_until_byte(round(share * len(before)), STOP, path)
    assert child.returncode == -signal.SIGXFSZ, child.stderr
    assert image_of(path).read_bytes() == before
    assert await both_ways(store, before)
    assert not await both_ways(path.read_bytes(), before)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300))
def test_bytes_that_are_no_image_are_told(content: bytes) -> None:
    assert decode_image(content) is None
