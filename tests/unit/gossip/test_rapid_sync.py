"""Rapid gossip sync of a node: fetched, kept in a file of its own, there again after any kill."""

from __future__ import annotations

import asyncio
import gzip
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from core.base.events import EventBus
from core.bolt.address import Address, AddressKind
from core.gossip import rapid, rapid_fetch, rapid_file
from core.gossip.errors import SnapshotRefused, SnapshotUnavailable
from core.gossip.kept_graph import KeptGraph
from core.gossip.rapid_sync import OLDEST_S, REFRESH_S, RETRY_S, RapidReport, RapidSync
from core.peers.named import NamedDialler
from core.storage.errors import ProfileUnusable
from tests.support.clock import ManualClock
from tests.support.peers import until
from tests.support.rapid_snapshot import Channel, Content, Update, write_snapshot
from tests.support.socks_double import socks_double
from tests.unit.gossip.graphs import CHAIN, NOW, node_id, scid

DIRECT = NamedDialler(None)


def content(*numbers: int, base_msat: int | None = 1000, incremental: bool = False) -> Content:
    """Channels of these numbers, each with an update; incremental ones alone without announcements."""
    channels = [] if incremental else [Channel(int(scid(n)), node_id(10 + n), node_id(50)) for n in numbers]
    rest = (None,) * 4 if incremental else (40, 1, 10, 99)
    updates = [Update(int(scid(n)), 0, (*rest[:2], base_msat, *rest[2:]), incremental=incremental) for n in numbers]
    return Content(channels, updates)


WHOLE = write_snapshot(content(1, 2, 3), NOW - 100)
MORE = write_snapshot(content(2, base_msat=7, incremental=True), NOW - 50)


@asynccontextmanager
async def synced(
    folder: Path, source: str = "", clock: ManualClock | None = None, dial: NamedDialler = DIRECT
) -> AsyncIterator[RapidSync]:
    clock = clock or ManualClock(time=NOW)
    kept = await KeptGraph.open(folder / "gossip_store", CHAIN, EventBus(), clock)
    sync = await RapidSync.open(kept, clock, dial, source, folder / "rapid_gossip")
    try:
        yield sync
    finally:
        await sync.aclose()
        await kept.aclose()


def fees(sync: RapidSync) -> dict[int, int | None]:
    """Of direction 0, by channel."""
    return {
        channel.short_channel_id.block - 100: channel.policies[0] and channel.policies[0].fee_base_msat
        for channel in sync._kept.graph.channels()
    }


def put(folder: Path, data: bytes) -> str:
    file = folder / "theirs"
    file.write_bytes(data)
    return str(file)


async def test_what_was_taken_is_there_after_a_restart_and_apart_from_the_store(tmp_path: Path) -> None:
    async with synced(tmp_path) as sync:
        assert str(sync) == ""
        source = put(tmp_path, WHOLE)
        assert await sync.take(source) == RapidReport(source, NOW - 100, 3, 3, 0, 0)
        assert await sync.take(source) == RapidReport(source, NOW - 100, 0, 0, 0, 6), "the same one again"
        source = put(tmp_path, MORE)
        assert await sync.take(source) == RapidReport(source, NOW - 50, 0, 1, 0, 0)
        assert fees(sync) == {1: 1000, 2: 7, 3: 1000}
    async with synced(tmp_path) as sync:
        assert fees(sync) == {1: 1000, 2: 7, 3: 1000}
        assert (sync.latest_seen, sync._kept.graph.overlay_count) == (NOW - 50, 3)
        assert str(sync) == "3 channels of an unsigned snapshot"
    assert rapid_file.read(tmp_path / "rapid_gossip") == ([WHOLE, MORE], None)
    assert not (tmp_path / "gossip_store").exists()


async def test_a_whole_one_takes_the_place_of_all_before(tmp_path: Path) -> None:
    async with synced(tmp_path) as sync:
        await sync.take(put(tmp_path, WHOLE))
        await sync.take(put(tmp_path, MORE))
        await sync.take(put(tmp_path, write_snapshot(content(1, 4, base_msat=8), NOW)))
        assert fees(sync) == {1: 8, 4: 8}
        await sync.take(put(tmp_path, write_snapshot(content(), NOW + 1)))
        assert fees(sync) == {1: 8, 4: 8}, "nothing new is no reason to forget"
    assert len(rapid_file.read(tmp_path / "rapid_gossip")[0]) == 2
    async with synced(tmp_path) as sync:
        assert fees(sync) == {1: 8, 4: 8}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"no snapshot", "does not begin"),
        (write_snapshot(Content(chain_hash=bytes(32)), NOW), "another chain"),
        (write_snapshot(content(1), NOW - OLDEST_S - 1), "two weeks"),
        (write_snapshot(content(1), NOW + 200_000), "time to come"),
        (write_snapshot(content(1), NOW - 101), "older than what was taken"),
        (bytes(rapid.MAX_BYTES + 1), "more than"),
    ],
)
async def test_what_cannot_be_used_is_refused_and_changes_nothing(tmp_path: Path, data: bytes, words: str) -> None:
    async with synced(tmp_path) as sync:
        await sync.take(put(tmp_path, WHOLE))
        with pytest.raises(SnapshotRefused, match=words):
            await sync.take(put(tmp_path, data))
        assert set(fees(sync)) == {1, 2, 3}
    assert rapid_file.read(tmp_path / "rapid_gossip")[0] == [WHOLE]


async def test_there_is_an_end_to_what_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rapid_file, "MOST_SNAPSHOTS", 2)
    async with synced(tmp_path) as sync:
        await sync.take(put(tmp_path, WHOLE))
        await sync.take(put(tmp_path, MORE))
        third = write_snapshot(content(2, base_msat=9, incremental=True), NOW)
        with pytest.raises(SnapshotRefused, match="too much"):
            await sync.take(put(tmp_path, third))
        assert (sync.latest_seen, sync._since()) == (NOW - 50, 0), "a server is asked for a whole one then"


@pytest.mark.parametrize("damage", [b"", b"LEYRAPID", b"x" * 100, "cut", "flip", "version"])
async def test_a_damaged_file_is_set_aside(tmp_path: Path, damage: bytes | str) -> None:
    good = rapid_file.encode([WHOLE])
    version = good[:9] + b"\x09" + good[10:-4]
    bad = {
        "cut": good[:-7],
        "flip": good[:60] + bytes([good[60] ^ 1]) + good[61:],
        "version": version + rapid_file._checksum(version),
    }
    (tmp_path / "rapid_gossip").write_bytes(damage if isinstance(damage, bytes) else bad[damage])
    async with synced(tmp_path) as sync:
        assert sync.damage is not None and sync.damage.set_aside.exists()
        assert "set aside" in str(sync) and fees(sync) == {}
        await sync.take(put(tmp_path, WHOLE))
    async with synced(tmp_path) as sync:
        assert set(fees(sync)) == {1, 2, 3}


async def test_old_ones_are_used_as_long_as_the_newest_is_not_old(tmp_path: Path) -> None:
    rapid_file.write(tmp_path / "rapid_gossip", [WHOLE, MORE])
    clock = ManualClock(time=NOW - 60 + OLDEST_S)
    async with synced(tmp_path, clock=clock) as sync:
        assert fees(sync)[2] == 7 and sync._since() == NOW - 50
        await clock.advance(20)
        assert sync._since() == 0, "what we have grew too old to build upon"
    async with synced(tmp_path, clock=ManualClock(time=NOW + OLDEST_S)) as sync:
        assert (fees(sync), sync.latest_seen, sync._since()) == ({}, 0, 0)


async def test_a_kill_at_any_byte_leaves_the_old_file_or_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    path, new = tmp_path / "rapid_gossip", rapid_file.encode([WHOLE, MORE])
    for end in range(0, len(new), 7):
        rapid_file.write(path, [WHOLE])

        def cut(handle: int, data: memoryview, *, end: int = end, write: Callable[..., int] = os.write) -> int:
            write(handle, data[:end])
            raise Killed

        with monkeypatch.context() as patched:
            patched.setattr("core.storage.files.os.write", cut)
            with pytest.raises(Killed):
                rapid_file.write(path, [WHOLE, MORE])
        assert rapid_file.read(path) == ([WHOLE], None)
    rapid_file.write(path, [WHOLE, MORE])
    assert rapid_file.read(path) == ([WHOLE, MORE], None)


async def test_a_disk_that_refuses_is_told_and_nothing_is_laid(tmp_path: Path) -> None:
    clock = ManualClock(time=NOW)
    kept = await KeptGraph.open(None, CHAIN, EventBus(), clock)
    sync = await RapidSync.open(kept, clock, DIRECT, path=tmp_path / "no folder" / "rapid_gossip")
    with pytest.raises(ProfileUnusable):
        await sync.take(put(tmp_path, WHOLE))
    assert len(kept.graph) == 0
    await sync.aclose()
    await kept.aclose()


async def test_no_file_is_said_in_the_systems_words(tmp_path: Path) -> None:
    async with synced(tmp_path) as sync:
        for path, words in (
            (tmp_path / "none", "No such file"),
            (tmp_path, "director|not a file"),
            ("~nobody-x/a", "nobody"),
        ):
            with pytest.raises(SnapshotUnavailable, match=words):
                await sync.take(str(path))


# -- servers


class Server:
    """What LDK's server does: a snapshot of what is new since the time that its path names."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answer: Callable[[int], Awaitable[web.StreamResponse]] = self._snapshot
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path)
        return await self.answer(int(request.match_info["since"]))

    async def _snapshot(self, since: int) -> web.Response:
        data = gzip.compress(MORE if since else WHOLE)
        return web.Response(body=data, headers={"Content-Encoding": "gzip"})


@asynccontextmanager
async def serving() -> AsyncIterator[Server]:
    server = Server()
    app = web.Application()
    app.router.add_get("/snapshot/{since}", server.handle)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/snapshot"
    try:
        yield server
    finally:
        await runner.cleanup()


async def test_a_server_is_asked_for_what_is_new(tmp_path: Path) -> None:
    async with serving() as server, synced(tmp_path, server.url + "/") as sync:
        assert (await sync.take()).channels == 3
        assert (await sync.take()).updates == 1
        assert fees(sync) == {1: 1000, 2: 7, 3: 1000}
    assert server.asked == ["/snapshot/0", f"/snapshot/{NOW - 100}"]


@pytest.mark.parametrize(
    ("status", "headers", "body", "error", "words"),
    [
        (404, {}, b"no", SnapshotUnavailable, "status 404"),
        (302, {"Location": "http://127.0.0.1:1/"}, b"", SnapshotUnavailable, "status 302"),
        (200, {}, b"<html>", SnapshotRefused, "does not begin"),
        (200, {"Content-Encoding": "gzip"}, b"LDK", SnapshotRefused, "unpacked"),
        (200, {"Content-Encoding": "gzip"}, gzip.compress(WHOLE)[:-9], SnapshotRefused, "to its end"),
        (200, {"Content-Encoding": "br"}, b"LDK", SnapshotRefused, "not asked for"),
        (200, {"Content-Encoding": "gzip"}, gzip.compress(bytes(rapid.MAX_BYTES * 2), 1), SnapshotRefused, "more than"),
        (200, {}, bytes(rapid.MAX_BYTES + 1), SnapshotRefused, "more than"),
    ],
)
async def test_what_a_server_may_answer_instead(
    tmp_path: Path, status: int, headers: dict[str, str], body: bytes, error: type[Exception], words: str
) -> None:
    async def answer(_since: int) -> web.Response:
        return web.Response(status=status, headers=headers, body=body)

    async with serving() as server, synced(tmp_path, server.url) as sync:
        server.answer = answer
        with pytest.raises(error, match=words):
            await sync.take()
        assert fees(sync) == {}


def test_no_more_is_unpacked_than_is_allowed() -> None:
    packed = gzip.compress(bytes(rapid.MAX_BYTES * 2), 1)
    assert len(rapid_fetch._unpacked(packed, "gzip", "")) == rapid.MAX_BYTES + 1


async def test_nobody_listens_and_a_certificate_that_is_none(tmp_path: Path) -> None:
    async with serving() as server, synced(tmp_path) as sync:
        with pytest.raises(SnapshotUnavailable):
            await sync.take(server.url.replace("http://", "https://"))
        url = server.url
    async with synced(tmp_path) as sync:
        with pytest.raises(SnapshotUnavailable, match="refused"):
            await sync.take(url)


async def test_through_the_proxy_goes_the_name_unresolved(tmp_path: Path) -> None:
    async with serving() as server:
        target = Address(AddressKind.IPV4, "127.0.0.1", int(server.url.rsplit(":", 1)[1].split("/")[0]))
        async with socks_double(target) as proxy:
            dial = NamedDialler(proxy.config(always=True))
            async with synced(tmp_path, "http://snapshots.onion/snapshot", dial=dial) as sync:
                assert (await sync.take()).channels == 3
            assert [(one.kind, one.host, one.port) for one in proxy.asked] == [(3, "snapshots.onion", 80)]


async def test_each_day_one_and_after_a_failure_each_hour(tmp_path: Path) -> None:
    clock = ManualClock(time=NOW)
    problems: list[BaseException] = []
    async with serving() as server, synced(tmp_path, server.url, clock) as sync:
        good = server.answer

        async def nothing(_since: int) -> web.Response:
            return web.Response(status=503)

        server.answer = nothing
        running = asyncio.create_task(sync.run(problems.append))
        await until(lambda: len(server.asked) == 1 and _sleeps(clock, RETRY_S))
        assert "503" in sync.failure
        server.answer = good
        await clock.advance(RETRY_S)
        await until(lambda: sync.latest_seen == NOW - 100 and _sleeps(clock, REFRESH_S))
        assert sync.failure == ""
        await clock.advance(REFRESH_S)
        await until(lambda: sync.latest_seen == NOW - 50 and _sleeps(clock, REFRESH_S))
        assert len(server.asked) == 3
        running.cancel()
        await asyncio.wait([running])
    assert problems == []


async def test_after_a_restart_what_is_no_day_old_is_fresh_enough(tmp_path: Path) -> None:
    clock = ManualClock(time=NOW)
    rapid_file.write(tmp_path / "rapid_gossip", [WHOLE])
    async with serving() as server, synced(tmp_path, server.url, clock) as sync:
        running = asyncio.create_task(sync.run(lambda _error: None))
        await until(lambda: _sleeps(clock, REFRESH_S - 100))
        assert server.asked == []
        running.cancel()
        await asyncio.wait([running])


def _sleeps(clock: ManualClock, seconds: float) -> bool:
    """Whether somebody waits for that moment."""
    until_s = clock.monotonic() + seconds
    return any(abs(deadline - until_s) < 1e-3 and not waiter.done() for deadline, _, waiter in clock._sleepers)


async def test_without_a_source_nobody_is_asked_and_a_disk_is_told_of(tmp_path: Path) -> None:
    async with synced(tmp_path) as sync:
        await sync.run(lambda _error: None)
    clock = ManualClock(time=NOW)
    kept = await KeptGraph.open(None, CHAIN, EventBus(), clock)
    sync = await RapidSync.open(kept, clock, DIRECT, put(tmp_path, WHOLE), tmp_path / "none" / "rapid_gossip")
    problems: list[BaseException] = []
    running = asyncio.create_task(sync.run(problems.append))
    await until(lambda: problems)
    assert isinstance(problems[0], ProfileUnusable)
    running.cancel()
    await asyncio.wait([running])
    await sync.aclose()
    await kept.aclose()


async def test_who_waits_is_told_when_the_node_stops(tmp_path: Path) -> None:
    there = asyncio.Event()

    async def never(_since: int) -> web.Response:
        there.set()
        await asyncio.Event().wait()
        raise AssertionError

    async with serving() as server, synced(tmp_path, server.url) as sync:
        server.answer = never
        waiting = asyncio.create_task(sync.take())
        await there.wait()
        await sync.aclose()
        with pytest.raises(SnapshotUnavailable, match="the node stops"):
            await waiting
        with pytest.raises(SnapshotUnavailable, match="the node stops"):
            await sync.take()
