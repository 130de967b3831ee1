"""pyln-client's `Gossmap` on our file while the program writes and compacts it; stores of Core Lightning taken in."""

from __future__ import annotations

import asyncio
import contextlib
import json
import lzma
import os
import struct
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.acceptance import gossip_naive as naive
from tests.acceptance.gossip_feeder import Feeder
from tests.acceptance.gossip_listed import differing, listed
from tests.acceptance.gossip_part import HURRIED, TODAY, UNASKED, Part, changed
from tests.acceptance.program import InstalledLeyden
from tests.counterparts.process import REPOSITORY
from tests.support.network import make_network

SAMPLE = REPOSITORY / "tests" / "vectors" / "cln_gossip_store.mesh-3x3.xz"
"""Written by Core Lightning for the tests of pyln-client: nine nodes in a mesh, version 15, of 2023."""
_READER = """
import json, sys
from pyln.client import Gossmap

def seen(found):
    return {
        "channels": sorted(str(c.scid) for c in found.channels.values()),
        "halves": [
            [str(c.scid), d, h.timestamp, h.fee_base_msat, h.fee_proportional_millionths, h.htlc_minimum_msat,
             h.htlc_maximum_msat, h.cltv_expiry_delta, h.disabled]
            for c in found.channels.values() for d, h in enumerate(c.half_channels) if h],
        "nodes": [[n.node_id.nodeid.hex(), n.timestamp] for n in found.nodes.values() if n.announced],
        "read": found.bytes_read,
        "orphans": len(found.orphan_channel_updates),
    }

def ended(error):
    # How pyln-client says that the file told it of a successor, which it does not follow.
    return "Implement" in str(error)

def fresh():
    while True:
        try:
            return Gossmap(sys.argv[1])
        except AssertionError as error:
            if not ended(error):
                raise

kept = fresh()
print("ready", flush=True)
for line in sys.stdin:
    followed = 0
    try:
        kept.refresh()
    except AssertionError as error:
        if not ended(error):
            raise
        kept, followed = fresh(), 1
    print(json.dumps([seen(kept) | {"followed": followed}, seen(fresh())]), flush=True)
"""
_LONGEST_LINE = 1 << 24
_READ_S = 30.0


class Gossmaps:
    """One Gossmap that stays open, and a new one each time."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, path: Path) -> Gossmaps:
        pipe = asyncio.subprocess.PIPE
        command = (os.environ["LEYDEN_PYLN_PYTHON"], "-c", _READER, str(path))
        started = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, limit=_LONGEST_LINE)
        self = cls(started)
        assert await self._line() == "ready"
        return self

    async def read(self) -> list[dict[str, Any]]:
        """What the one that stays open sees, and what a new one does."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        found: list[dict[str, Any]] = json.loads(await self._line())
        return found

    async def __aenter__(self) -> Gossmaps:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.communicate()

    async def _line(self) -> str:
        assert self._process.stdout is not None
        async with asyncio.timeout(_READ_S):
            line = await self._process.stdout.readline()
        assert line, "Gossmap ended: it could not read the file"
        return line.decode().strip()


async def gossmaps(folder: Path, count: int, seed: int, channels: int = 300) -> Part:
    """`count` readings while the program is fed and compacts, and one after it has stopped."""
    bad: list[str] = []
    followed = 0
    async with AsyncExitStack() as stack:
        stack.enter_context(changed(*HURRIED))
        feeder = await stack.enter_async_context(await Feeder.start(seed, channels))
        async with await InstalledLeyden.start(folder / "node", *UNASKED) as leyden:
            path = leyden.data_dir / "regtest" / "gossip_store"
            await feeder.feed(leyden.port, leyden.node_id)
            await _until_written(leyden)
            reader = await stack.enter_async_context(await Gossmaps.start(path))
            for _ in range(count):
                before, views = await listed(leyden), await reader.read()
                followed += views[0]["followed"]
                bad += [problem for view in views for problem in _older(before, view)]
            await leyden.stop()
        async with await InstalledLeyden.start(folder / "node", *UNASKED) as leyden:
            bad += [problem for view in await reader.read() for problem in await _not_alike(leyden, view)]
            await leyden.stop()
        views, size = await reader.read(), path.stat().st_size
        bad += [f"Gossmap read {view['read']} of {size} bytes" for view in views if view["read"] != size]
    last = views[0]
    facts = {
        "readings while it was written": 2 * count,
        "times it was told that another file is in the place of the one it had open": followed,
        "channels, directions, nodes at the end": [len(last[name]) for name in ("channels", "halves", "nodes")],
    }
    return Part("gossmap", f"python -m tests.acceptance.gossip_store gossmap --count {count} --seed {seed}", facts, bad)


async def _until_written(leyden: InstalledLeyden) -> None:
    async with asyncio.timeout(_READ_S):
        while not (await listed(leyden)).halves:
            await asyncio.sleep(0.01)


def _older(before: naive.Facts, view: dict[str, Any]) -> list[str]:
    """What Gossmap sees must be as new as what was listed before it looked: what is listed is stored."""
    halves = {(scid, direction): stamp for scid, direction, stamp, *_ in view["halves"]}
    missing = [name for name, stamp in before.halves.items() if halves.get(name, -1) < stamp]
    problems = [f"Gossmap lacks {len(missing)} updates that were listed: {missing[:3]}"] if missing else []
    if before.nodes.keys() - {node_id for node_id, _ in view["nodes"]}:
        problems.append("Gossmap lacks nodes that were listed")
    if view["orphans"]:
        problems.append(f"Gossmap sees {view['orphans']} updates without a channel")
    return problems


async def _not_alike(leyden: InstalledLeyden, view: dict[str, Any]) -> list[str]:
    """What Gossmap and the program say differently of channels, directions with all they ask for, and nodes."""
    rows = (await leyden.call("listchannels"))["channels"]
    ours = {
        (
            row["short_channel_id"], row["direction"], row["last_update"], row["base_fee_millisatoshi"],
            row["fee_per_millionth"], row["htlc_minimum_msat"], row["htlc_maximum_msat"], row["delay"],
            not row["active"],
        )
        for row in rows
    }  # fmt: skip
    theirs = {tuple(half) for half in view["halves"]}
    different = list(ours ^ theirs)
    problems = [f"{len(different)} directions differ: {different[:2]}"] if different else []
    nodes = {tuple(node) for node in view["nodes"]} ^ set((await listed(leyden)).nodes.items())
    return [*problems, *([f"{len(nodes)} nodes differ"] if nodes else [])]


async def imports(folder: Path, count: int, seed: int) -> Part:
    """Stores in Core Lightning's form by `importgossipstore`: its own sample, and one of each version of today."""
    folder.mkdir(parents=True, exist_ok=True)
    bad: list[str] = []
    told: dict[str, Any] = {}
    sample = folder / "mesh"
    sample.write_bytes(lzma.decompress(SAMPLE.read_bytes()))
    files = [sample]
    for version in (15, 16):
        files.append(folder / f"version {version}")
        files[-1].write_bytes(_as_core_lightning(version, seed + version, count))
    expected = naive.Facts()
    async with await InstalledLeyden.start(folder / "node", *UNASKED) as leyden:
        for path in files:
            bad += [f"{path.name}: {problem}" for problem in await _imported(leyden, path, expected, told)]
        await leyden.stop()
    stored = naive.read(leyden.data_dir / "regtest" / "gossip_store")
    if stored.channels != expected.channels:
        bad.append(f"{len(stored.channels)} channels are stored, {len(expected.channels)} were in the files")
    return Part("import", f"python -m tests.acceptance.gossip_store import --count {count} --seed {seed}", told, bad)


async def _imported(leyden: InstalledLeyden, path: Path, expected: naive.Facts, told: dict[str, Any]) -> list[str]:
    """Take in one file; `expected` is what the program knows, before and then after."""
    content = path.read_bytes()
    found, wanted = naive.facts(content), {"refused": 0, "known": 0, "passed_over": 0}
    if path.name == "mesh":  # updates of 2023 are not news: they are older than two weeks
        wanted["passed_over"], found.halves = len(found.halves), {}
    wanted |= {"channels": len(found.channels), "channel_updates": len(found.halves), "nodes": len(found.nodes)}
    expected.channels |= found.channels
    expected.halves |= found.halves
    expected.nodes |= found.nodes
    report = told[path.name] = await leyden.call("importgossipstore", str(path))
    different = [name for name, count in wanted.items() if report[name] != count]
    problems = [f"{name}: {report[name]}, by the file {wanted[name]}" for name in different]
    if "left_out" in report:
        problems.append(f"left out: {report['left_out']}")
    problems += differing(expected, await listed(leyden))
    if path.read_bytes() != content:
        problems.append("the other node's file was changed")
    return problems


def _as_core_lightning(version: int, seed: int, channels: int) -> bytes:
    """With what a store of its own has: an id, amounts, a channel that ended, one that is dying, replaced updates."""
    network = make_network(seed, channels, now_s=TODAY)
    identity = struct.pack(">H", naive.STORE_ID) + bytes(range(32))
    content: list[tuple[bytes, int, int]] = [(identity, 0, 0)] if version >= 16 else []
    for number, message in enumerate(network.channel_announcements):
        ended = naive.DELETED if number == 0 else naive.DYING if number == 1 else 0
        amount = struct.pack(">HQ", naive.AMOUNT, network.capacities_sat[number])
        content += [(message, TODAY, ended), (amount, 0, ended & naive.DELETED)]
        for direction in (0, 1):
            if number == 2:
                old = network.update(number, direction, timestamp=TODAY - 13 * 86_400)
                content.append((old, TODAY - 13 * 86_400, naive.DELETED))
            update = network.channel_updates[2 * number + direction]
            content.append((update, int.from_bytes(update[106:110], "big"), ended & naive.DELETED))
    first, second = (_scid(message) for message in network.channel_announcements[:2])
    content.append((struct.pack(">HQ", naive.DELETE_CHANNEL, first), 0, 0))
    content.append((struct.pack(">HQI", naive.CHANNEL_DYING, second, 100), 0, 0))
    connected = {node for number in range(1, channels) for node in network.signers[2 * number : 2 * number + 2]}
    for message in network.node_announcements:
        at = 68 + int.from_bytes(message[66:68], "big")
        if message[at + 4 : at + 37] in connected:
            content.append((message, int.from_bytes(message[at : at + 4], "big"), 0))
    return naive.written(version, content)


def _scid(message: bytes) -> int:
    block, index, output = map(int, naive.scid_of(message).split("x"))
    return block << 40 | index << 16 | output
