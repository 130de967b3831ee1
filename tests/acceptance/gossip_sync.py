"""A whole network from one program to another over loopback, and to LDK and back: all end with the same listing.

    python -m tests.acceptance.gossip_sync --channels 50000 --ldk-channels 50000
    python -m tests.acceptance.gossip_sync --mutations                against changed programs: each must be red

The channels are really on a regtest chain (bcoin), which every program asks before it tells anybody of them. The first
imports the network as another node's store, the second has nothing but the first. LDK, which asks no chain, takes the
first `--ldk-channels` from one program and gives them to another; all 50,000 take it five minutes. The report is
`gossip_sync_report.json` here.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.bolt.gossip import ChannelAnnouncement, ChannelUpdate
from core.bolt.wire import ShortChannelId
from core.gossip.store import open_gossip_store
from tests.acceptance.gossip_part import REPORTS, TODAY, Part, changed
from tests.acceptance.mmrpc_program import short_folder
from tests.acceptance.mutations import Mutation
from tests.acceptance.program import InstalledLeyden
from tests.counterparts import Ldk
from tests.counterparts.bcoin import Bcoin
from tests.support.funded_network import FundedNetwork, fund_on_bcoin
from tests.support.network import Network

SEED = 5
SMALL = 40
LDK_CHANNELS = 5_000
_SAMPLE = 40
"""Channels that are looked at, until they are as they should be, before everything is listed."""
_PAUSE_S = 0.2
_LARGEST_LIST = 1 << 28
_WAIT_A_CHANNEL_S = 0.05
"""A bound that means that something is stuck; 25 times what it takes."""

MUTATIONS = (
    Mutation(  # every other channel is forgotten when the list is told
        "core/gossip/serving.py",
        "tellable_between(self._graph, query.first_blocknum, query.end_blocknum).tolist()",
        "tellable_between(self._graph, query.first_blocknum, query.end_blocknum).tolist()[::2]",
    ),
    Mutation(  # of each channel one direction is not sent
        "core/gossip/serving.py", "if wanted & bit and policy is not None:", "if bit == 2 and policy is not None:"
    ),
)


@dataclass
class Sync:
    """What is found out on the way."""

    folder: Path
    bcoin: Bcoin
    wait_s: float
    facts: dict[str, Any] = field(default_factory=dict)
    bad: list[str] = field(default_factory=list)

    async def program(self, name: str) -> InstalledLeyden:
        """A program that follows the chain of `bcoin`."""
        folder = self.folder / name
        folder.mkdir()
        password = folder / "password"
        password.touch(mode=0o600)
        password.write_text(self.bcoin.password)
        login = ("--bitcoin-rpc-user", "leyden", "--bitcoin-rpc-password-file", str(password))
        server = ("--chain-source", "bitcoin-rpc", "--bitcoin-rpc", f"127.0.0.1:{self.bcoin.rpc_port}")
        return await InstalledLeyden.start(folder, *server, *login)

    async def timed(self, what: str, holds: Callable[[], Awaitable[bool]], began: float) -> None:
        """Wait until it holds; seconds since `began` go into the facts."""
        try:
            async with asyncio.timeout(self.wait_s):
                while not await holds():
                    await asyncio.sleep(_PAUSE_S)
        except TimeoutError:
            self.bad.append(f"{what}: not within {self.wait_s:.0f} s")
        self.fact(f"{what}, s", round(time.monotonic() - began, 1))

    def fact(self, what: str, found: object) -> None:
        """Into the report, and printed at once: a run at full size takes minutes."""
        self.facts[what] = found
        print(f"{what}: {found}", flush=True)

    def compare(self, what: str, one: list[str], other: list[str]) -> None:
        different = set(one) ^ set(other)
        self.fact(f"{what}: rows", [len(one), len(other)])
        if one != other:
            self.bad.append(f"{what}: {len(different)} rows differ: {sorted(different)[:2]}")

    async def listings(self, name: str, program: InstalledLeyden) -> dict[str, list[str]]:
        """`listchannels` and `listnodes`, a row a line, sorted; notes the program's memory."""
        found = {method: await listed(program, method) for method in ("listchannels", "listnodes")}
        self.fact(f"{name}: peak memory, MiB", peak_mib(program.pid))
        children = Path(f"/proc/{program.pid}/task/{program.pid}/children").read_text().split()
        self.fact(f"{name}: peak memory of each worker, MiB", [peak_mib(int(child)) for child in children])
        return found


async def syncs(folder: Path, channels: int, ldk_channels: int, seed: int, wait_s: float | None = None) -> Part:
    """The whole: green when nothing is bad. No step may take longer than `wait_s`."""
    async with await Bcoin.start(folder / "bcoin") as bcoin:
        sync = Sync(folder, bcoin, wait_s or 120.0 + channels * _WAIT_A_CHANNEL_S)
        began = time.monotonic()
        funded = await fund_on_bcoin(bcoin, seed, channels, now_s=TODAY)
        sync.fact("funding, s", round(time.monotonic() - began, 1))
        await _between_programs(sync, funded)
        await _with_ldk(sync, _first(funded.network, min(ldk_channels, channels)))
    command = f"python -m tests.acceptance.gossip_sync --channels {channels} --ldk-channels {ldk_channels}"
    return Part("sync", f"{command} --seed {seed}", {"channels": channels} | sync.facts, sync.bad)


async def _between_programs(sync: Sync, funded: FundedNetwork) -> None:
    network = funded.network
    async with await sync.program("a") as one, await sync.program("b") as other:
        await _imported(sync, "a", one, network)
        began = time.monotonic()
        await other.call("connect", one.node_id.hex(), "127.0.0.1", one.port)
        await sync.timed("b has all from a", lambda: _as(other, network), began)
        ours, theirs = await sync.listings("a", one), await sync.listings("b", other)
        for method, rows in ours.items():
            sync.compare(f"{method} of a and b", rows, theirs[method])
        _complete(sync, network, ours)
        for program in (one, other):
            await program.stop()
            if program.exit_code:
                sync.bad.append(f"exit code {program.exit_code}")


async def _with_ldk(sync: Sync, network: Network) -> None:
    sync.fact("channels of ldk", len(network.channel_announcements))
    (sync.folder / "ldk").mkdir()
    async with (
        await sync.program("c") as source,
        await Ldk.start(sync.folder / "ldk", "--quiet") as ldk,
        await sync.program("d") as sink,
    ):
        await _imported(sync, "c", source, network)
        ours = await sync.listings("c", source)
        began = time.monotonic()
        await ldk.connect(source.node_id, source.port)
        expected = _as_ldk(ours)
        wanted = {"channels": len(network.channel_announcements), "nodes": len(network.node_announcements)}

        async def ldk_has_all() -> bool:
            counts = await ldk.command("counts", timeout_s=sync.wait_s)
            return counts == wanted and _of_ldk(await ldk.graph()) == expected

        await sync.timed("ldk has all from c", ldk_has_all, began)
        sync.compare("the graphs of c and ldk", expected, _of_ldk(await ldk.graph()))
        began = time.monotonic()
        await ldk.connect(sink.node_id, sink.port)
        await sync.timed("d has all from ldk", lambda: _as(sink, network), began)
        theirs = await sync.listings("d", sink)
        for method, rows in ours.items():
            sync.compare(f"{method} of c and d", rows, theirs[method])


async def _imported(sync: Sync, name: str, program: InstalledLeyden, network: Network) -> None:
    """Have the program import the network, and check it against the chain."""
    path = sync.folder / f"{name}_store"
    store = await open_gossip_store(path)
    await store.append([(message, TODAY) for message in network])
    await store.aclose()
    began = time.monotonic()
    await asyncio.wait_for(request(program, "importgossipstore", path=str(path)), sync.wait_s)
    sync.fact(f"{name}: imported, s", round(time.monotonic() - began, 1))
    await sync.timed(f"{name}: imported and checked against the chain", lambda: _as(program, network), began)


async def _as(program: InstalledLeyden, network: Network) -> bool:
    """Whether the program has the whole network, each channel seen on the chain; a few are looked at first."""
    chance = random.Random(1)
    scids = [str(ChannelAnnouncement.decode(message).short_channel_id) for message in network.channel_announcements]
    calls = [("listchannels", {"short_channel_id": scid}) for scid in chance.sample(scids, min(_SAMPLE, len(scids)))]
    for reply in await program.requests(calls):
        rows = reply["result"]["channels"]
        if len(rows) != 2 or any("trust" in row for row in rows):
            return False
    rows = await request(program, "listchannels")
    if len(rows["channels"]) != 2 * len(scids) or any("trust" in row for row in rows["channels"]):
        return False
    nodes = (await request(program, "listnodes"))["nodes"]
    return sum("last_timestamp" in node for node in nodes) == len(network.node_announcements)


def _complete(sync: Sync, network: Network, found: dict[str, list[str]]) -> None:
    """Whether the source's own listing is the network that was made."""
    rows = [json.loads(row) for row in found["listchannels"]]
    stamps = {(row["short_channel_id"], row["direction"]): row["last_update"] for row in rows}
    made = map(ChannelUpdate.decode, network.channel_updates)
    if stamps != {(str(update.short_channel_id), update.direction): update.timestamp for update in made}:
        sync.bad.append("a does not list the network that was made")
    if sum(row["amount_msat"] for row in rows) != 2000 * sum(network.capacities_sat):
        sync.bad.append("a does not know the capacities that are on the chain")


def _first(network: Network, channels: int) -> Network:
    """The network's first channels, with the nodes at their ends."""
    announced = network.channel_announcements[:channels]
    ends = {node for one in map(ChannelAnnouncement.decode, announced) for node in (one.node_id_1, one.node_id_2)}
    nodes = tuple(message for message in network.node_announcements if _node_id(message) in ends)
    return Network(
        network.seed,
        network.chain,
        announced,
        network.channel_updates[: 2 * channels],
        nodes,
        network.capacities_sat[:channels],
    )


def _node_id(message: bytes) -> bytes:
    """Of a `node_announcement`: type, signature, features, timestamp, id."""
    at = 68 + int.from_bytes(message[66:68], "big") + 4
    return message[at : at + 33]


_BOTH_TELL = (
    *("active", "last_update", "base_fee_millisatoshi", "fee_per_millionth", "delay"),
    *("htlc_minimum_msat", "htlc_maximum_msat"),
)


def _as_ldk(found: dict[str, list[str]]) -> list[str]:
    """Our listing as far as LDK tells the same."""
    rows: list[tuple[Any, ...]] = []
    for row in map(json.loads, found["listchannels"]):
        scid = int(ShortChannelId.parse(row["short_channel_id"]))
        facts = {name: str(row[name]) for name in _BOTH_TELL}
        rows.append((scid, row["direction"], row["source"], row["destination"], facts))
    nodes = map(json.loads, found["listnodes"])
    rows += [(row["nodeid"], row["last_timestamp"], row["color"]) for row in nodes]
    return sorted(map(str, rows))


def _of_ldk(graph: dict[str, Any]) -> list[str]:
    rows: list[tuple[Any, ...]] = []
    for channel in graph["channels"]:
        for direction, told in enumerate(channel["directions"]):
            if told is not None:
                ends = channel["ends"]
                facts = {name: str(told[name]) for name in _BOTH_TELL}
                rows.append((int(channel["short_channel_id"]), direction, ends[direction], ends[1 - direction], facts))
    rows += [(node["nodeid"], node.get("last_timestamp"), node.get("color")) for node in graph["nodes"]]
    return sorted(map(str, rows))


async def request(program: InstalledLeyden, method: str, **params: Any) -> Any:
    """One call with as long an answer as a whole network needs."""
    reader, writer = await asyncio.open_unix_connection(str(program.socket), limit=_LARGEST_LIST)
    try:
        writer.write(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode())
        reply = json.loads(await reader.readuntil(b"\n\n"))
    finally:
        writer.close()
        await writer.wait_closed()
    return reply["result"]


async def listed(program: InstalledLeyden, method: str) -> list[str]:
    """The rows of a listing, each as text, sorted."""
    (rows,) = (await request(program, method)).values()
    return sorted(json.dumps(row, sort_keys=True) for row in rows)


def peak_mib(pid: int) -> float:
    """The most memory that the process ever had."""
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return round(int(line.split()[1]) / 1024, 1)


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="gossip_sync", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--channels", type=int, help=f"of the network; 50,000, or {SMALL} with --mutations")
    parser.add_argument("--ldk-channels", type=int, default=LDK_CHANNELS, help="of them for LDK")
    parser.add_argument("--seed", type=int, default=SEED, help="of the network")
    parser.add_argument("--mutations", action="store_true", help="run against changed programs")
    parser.add_argument("--reports", type=Path, default=REPORTS, help="where the report goes")
    options = parser.parse_args(argv)
    if options.mutations:
        reds = [_red(mutation, options.seed) for mutation in MUTATIONS]
        return 0 if all(reds) else 1
    part = _run(options.channels or 50_000, options.ldk_channels, options.seed)
    part.write(options.reports)
    print(json.dumps(part.facts | {"bad": part.bad}, indent=1))
    print("red" if part.bad else "green")
    return 1 if part.bad else 0


def _red(mutation: Mutation, seed: int) -> bool:
    with changed(mutation):
        bad = _run(SMALL, SMALL, seed, wait_s=20.0).bad
    print(f"{'red' if bad else 'GREEN':5} {mutation.file}: {mutation.new!r}: {bad[:1]}", flush=True)
    return bool(bad)


def _run(channels: int, ldk_channels: int, seed: int, wait_s: float | None = None) -> Part:
    with short_folder() as folder:
        return asyncio.run(syncs(Path(folder), channels, ldk_channels, seed, wait_s))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
