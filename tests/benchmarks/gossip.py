"""Gossip taken in and read back from disk, beside Electrum's ChannelDB and the bare calls; what the program holds then.

    python -m tests.benchmarks.gossip [--channels 50000] [--rounds 3] [--workers 2] [--only ingest,reload,window]

The network is validly signed, of today and shaped like mainnet (tests/support/network.py). Rows run in processes of
their own, rounds interleaved:

- `ingest`: a peer brings channel after channel with its updates, then the nodes, until all is in graph and store,
  through `Ingest` and `KeptGraph` with so many workers; the chain is not asked. `checked` is the same with a chain that
  has every funding output and answers at once, until all channels are checked. Electrum decodes, verifies and stores
  as its `LNGossip.process_gossip` does, 250 channels at a time, until its database has all of it. `bare` calls
  libsecp256k1 for each signature in as many processes as there are workers (tests/benchmarks/verify.py).
- `reload`: `KeptGraph.open` after a stop, which left the graph's image beside the store, so that the store is only
  compared with it to the byte; `walked` is the same after a kill: every record is checked, what is damaged mended, all
  taken into the graph. ChannelDB's `load_data` beside them.
- `window`: the program with its window (Qt's offscreen platform) once it runs with that graph.

The clock says little on a machine that does other things, so ratios are by processor time. Ingest's is told as seconds
on two cores that have nothing else to do: what our own process took, or half of what it and its workers took together,
if that is more. Electrum is one process whose threads wait for the interpreter, so it takes what it takes. Medians; the
clock's best round stands beside them. Exit code 1 when a bar is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import NamedTuple

import psutil

from core.base.clock import SystemClock
from core.base.events import EventBus
from core.bolt.gossip import ChannelUpdate, NodeAnnouncement
from core.gossip.chain_check import ChainCheck, Funding, NoFunding, Pace, Wanted
from core.gossip.fundings import Fundings
from core.gossip.graph_opening import image_of, keep_image
from core.gossip.ingest import Ingest, Taken
from core.gossip.kept_graph import KeptGraph
from core.gossip.store import open_gossip_store
from core.gossip.store_file import Record
from core.gossip.store_format import channel_amount
from core.gossip.verification import Verifier
from core.storage.database import Database
from tests.acceptance.program import InstalledLeyden
from tests.benchmarks import electrum_gossip, verify
from tests.support.network import Network, make_network

INGEST_TO_ELECTRUM = 3.0
INGEST_TO_BARE = 0.8
RELOAD_TO_ELECTRUM = 20.0
RELOAD_S = 1.0
WINDOW_MB = 250
ROOT = Path(__file__).parents[2]
_CORES = 2
_HEIGHT = 1_000_000
_DAY_S = 24 * 3600
_TURN = 64
"""Messages that the peer brings in one turn of the loop."""
_DEADLINE_S = 120.0
_ROWS = ("ingest", "reload", "window")


class Spent(NamedTuple):
    """Seconds."""

    wall: float
    ours: float
    """Processor time of the process itself."""
    workers: float = 0.0

    @property
    def on_two_cores(self) -> float:
        return max(self.ours, (self.ours + self.workers) / _CORES)


class Feeder:
    """The peer. It is asked to wait as a connection would be."""

    peer_id = b"\x02" + bytes(32)
    features = b""
    is_established = True
    unsent_bytes = 0

    def __init__(self) -> None:
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()

    def hold_for_gossip(self, held: bool) -> None:
        if held:
            self.may_go_on.clear()
        else:
            self.may_go_on.set()

    def send(self, message: bytes) -> None:
        raise AssertionError("nothing is sent")

    def malformed(self, message: bytes) -> None:
        raise AssertionError(f"malformed: {message.hex()}")

    def warn(self, text: str) -> None:
        raise AssertionError(text)

    refuse_gossip = warn


class WholeChain:
    """Has every funding output, and hears what became of the question."""

    async def funding_outputs(self, wanted: Sequence[Wanted]) -> list[Funding | NoFunding | None]:
        return [Funding(1_000_000, hashlib.sha256(script_pubkey).digest()) for _scid, script_pubkey in wanted]

    def checked(self, scids: Sequence[int]) -> None:
        return None

    def refuted(self, scids: Sequence[int], *, blamed: bool) -> list[int]:
        raise AssertionError("it refutes nothing")


@asynccontextmanager
async def checking(kept: KeptGraph) -> AsyncIterator[ChainCheck]:
    """All channels are asked for as they come."""
    chain, database = WholeChain(), await Database.open(None)
    check = ChainCheck(kept, chain, Pace(at_once=64, a_second=None), Fundings(database), chain, SystemClock())
    check.tip(_HEIGHT)
    working = asyncio.create_task(check.run())
    try:
        yield check
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        await database.aclose()


async def ingest(network: Network, folder: Path, workers: int, *, checked: bool) -> Spent:
    """From messages to graph and store."""
    kept = await KeptGraph.open(folder / "gossip_store", network.chain.chain_hash, EventBus(), SystemClock())
    messages, left, finished = list(network), len(list(network)), asyncio.Event()

    def count(news: Sequence[Taken]) -> None:
        nonlocal left
        left -= len(news)
        if check is not None:
            check.wake()
        if not left:
            finished.set()

    peer, screen = Feeder(), Ingest(kept, SystemClock(), count)
    async with Verifier.start(workers) as verifier, checking(kept) if checked else nullcontext() as check:
        while not all(worker.ready for worker in verifier._workers):
            await asyncio.sleep(0.01)
        working = asyncio.create_task(screen.run(verifier))
        began, before, theirs = time.perf_counter(), time.process_time(), _processor_time(verifier.pids)
        for first in range(0, len(messages), _TURN):
            await peer.may_go_on.wait()
            for message in messages[first : first + _TURN]:
                screen.hear(peer, message)
            await asyncio.sleep(0)
        async with asyncio.timeout(_DEADLINE_S):
            await finished.wait()
            while checked and kept.graph.unchecked_count:
                await asyncio.sleep(0.01)
        spent = Spent(
            time.perf_counter() - began, time.process_time() - before, _processor_time(verifier.pids) - theirs
        )
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
    await kept.aclose()
    return spent


async def store(network: Network, file: Path) -> None:
    """The network as our store has it when the chain was asked about every channel."""
    records: list[Record] = []
    for number, announcement in enumerate(network.channel_announcements):
        records += [(announcement, 0), (channel_amount(network.capacities_sat[number]), 0)]
        updates = network.channel_updates[2 * number : 2 * number + 2]
        records += [(update, ChannelUpdate.decode(update).timestamp) for update in updates]
    records += [(node, NodeAnnouncement.decode(node).timestamp) for node in network.node_announcements]
    kept = await open_gossip_store(file)
    await kept.append(records)
    await kept.aclose()


async def reload(network: Network, file: Path, *, walked: bool) -> Spent:
    """From disk to the graph. `walked`: without its image, which is there again afterwards."""
    if walked:
        image_of(file).unlink(missing_ok=True)
    began, before = time.perf_counter(), time.process_time()
    kept = await KeptGraph.open(file, network.chain.chain_hash, EventBus(), SystemClock())
    spent = Spent(time.perf_counter() - began, time.process_time() - before)
    assert (len(kept.graph), kept.graph.node_count) == (len(network.capacities_sat), len(network.node_announcements))
    await kept.aclose()
    return spent


def _processor_time(pids: Iterable[int]) -> float:
    times = [psutil.Process(pid).cpu_times() for pid in pids]
    return float(sum(each.user + each.system for each in times))


class WithWindow(InstalledLeyden):
    """The program with its window, which nobody sees."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.environment = {**self.environment, "QT_QPA_PLATFORM": "offscreen"}

    def _command_line(self, *args: str) -> Sequence[str]:
        node = ["--network", "regtest", "--keystore", "memory", "--data-dir", str(self.data_dir), "--no-wizard"]
        return [*self.program, *node, "--bind", "127.0.0.1:0", *args]


async def with_window(network: Network | None, folder: Path) -> tuple[float, float]:
    """Megabytes that the program holds once it runs, and the most it ever held. None: with an empty graph."""
    profile = folder / "data" / "regtest"
    profile.mkdir(parents=True, mode=0o700)
    if network is not None:
        await store(network, profile / "gossip_store")
    program = await WithWindow.launch(folder)
    try:
        async with asyncio.timeout(_DEADLINE_S):
            while not await _runs(program):
                await asyncio.sleep(0.1)
        await asyncio.sleep(2)  # until the window has taken in what the activation told
        told = Path(f"/proc/{program.pid}/status").read_text()
        if network is not None:
            last = ChannelUpdate.decode(network.channel_updates[-1]).short_channel_id
            listed = (await program.call("listchannels", str(last)))["channels"]
            assert len(listed) == 2, "the graph is not that of the store"
    finally:
        await program.stop()
    fields = dict(line.split(":", 1) for line in told.splitlines())
    return tuple(int(fields[name].split()[0]) / 1000 for name in ("VmRSS", "VmHWM"))  # type: ignore[return-value]


async def _runs(program: InstalledLeyden) -> bool:
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        reply = await program.request("listpeers", [])
        return "result" in reply
    return False


# Rounds and verdicts


def child(command: Sequence[str]) -> Spent:
    """One row in a process of its own, which prints its figure as JSON."""
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, stdout=subprocess.PIPE, check=True, text=True)
    return Spent(*json.loads(done.stdout))


def figure(options: argparse.Namespace) -> Spent:
    """The figure of one of our rows."""
    network = make_network(seed=1, channels=options.channels, now_s=options.now)
    work = {
        name: partial(ingest, network, options.folder, options.workers, checked=name == "checked")
        for name in ("ingest", "checked")
    }
    for name in ("reload", "walked"):
        work[name] = partial(reload, network, options.folder / "gossip_store", walked=name == "walked")
    return asyncio.run(work[options.child]())


def rows_of(options: argparse.Namespace, name: str, folder: Path, turn: int) -> dict[str, Callable[[], Spent]]:
    """What a round of `ingest` or `reload` runs."""
    now, channels = str(options.now), str(options.channels)
    database = folder / "electrum"
    ours = folder / (f"ours-{turn}" if name == "ingest" else "stored")
    if name == "ingest":
        ours.mkdir()
        shutil.rmtree(database, ignore_errors=True)
    database.mkdir(exist_ok=True)
    common = ["tests.benchmarks.gossip", "--channels", channels, "--now", now, "--workers", str(options.workers)]
    rows = {"ours": lambda: child([*common, "--child", name, "--folder", str(ours)])}
    if name == "ingest":
        other = folder / f"checked-{turn}"
        other.mkdir()
        rows["checked"] = lambda: child([*common, "--child", "checked", "--folder", str(other)])
    else:
        rows["walked"] = lambda: child([*common, "--child", "walked", "--folder", str(ours)])
    if electrum_gossip.is_there():
        anchor = ["tests.benchmarks.electrum_gossip", name, str(database), channels, now]
        rows["electrum"] = lambda: child(anchor)
    return rows


class Verdicts:
    """Lines, and whether a bar was missed."""

    def __init__(self) -> None:
        self.missed = False

    def tell(self, what: str, found: float, bar: float, unit: str = "", *, most: bool = False) -> None:
        """`most`: the bar is an upper one."""
        met = found <= bar if most else found >= bar
        self.missed = self.missed or not met
        print(f"    {what:<44} {found:>8.2f} {unit:<3} bar {bar:g}: {'met' if met else 'missed'}")


def told_ingest(options: argparse.Namespace, folder: Path, verdicts: Verdicts) -> None:
    network = make_network(seed=1, channels=options.channels, now_s=options.now)
    records = verify.records_of(network)
    signatures = sum(len(verify.part_of(record).checks) for record in records)
    runs: dict[str, list[Spent]] = {}
    bare = []
    for turn in range(options.rounds):
        for name, run in rows_of(options, "ingest", folder, turn).items():
            runs.setdefault(name, []).append(run())
        bare.append(signatures / verify.bare(records, signatures, options.workers, parsed=False).processor)
    seconds = {name: statistics.median(run.on_two_cores for run in spent) for name, spent in runs.items()}
    seconds["bare"] = statistics.median(bare) / _CORES
    print(f"ingest: {len(records):,} records, {signatures:,} signatures, {options.workers} workers")
    for name, took in seconds.items():
        clock = f", clock {min(run.wall for run in runs[name]):.1f} s" if name in runs else ""
        print(f"    {name:<10} {took:>6.2f} s on two cores, {len(records) / took:>8,.0f} records/s{clock}")
    ours = runs["ours"]
    print(f"    of ours the node {statistics.median(run.ours for run in ours):.2f} s of processor time,", end=" ")
    print(f"its workers {statistics.median(run.workers for run in ours):.2f} s")
    if "electrum" in seconds:
        verdicts.tell("x Electrum", seconds["electrum"] / seconds["ours"], INGEST_TO_ELECTRUM)
    verdicts.tell("x bare on two cores", seconds["bare"] / seconds["ours"], INGEST_TO_BARE)


def told_reload(options: argparse.Namespace, folder: Path, verdicts: Verdicts) -> None:
    network = make_network(seed=1, channels=options.channels, now_s=options.now)
    (folder / "stored").mkdir()
    file = folder / "stored" / "gossip_store"
    asyncio.run(store(network, file))
    asyncio.run(keep_image(file, network.chain.chain_hash, SystemClock()))
    if electrum_gossip.is_there() and not (folder / "electrum").exists():
        rows_of(options, "ingest", folder, -1)["electrum"]()
    runs: dict[str, list[Spent]] = {}
    for turn in range(options.rounds):
        for name, run in rows_of(options, "reload", folder, turn).items():
            runs.setdefault(name, []).append(run())
    records = len(list(network))
    print(f"reload: {records:,} records")
    seconds = {name: statistics.median(run.ours for run in spent) for name, spent in runs.items()}
    for name, took in seconds.items():
        clock = min(run.wall for run in runs[name])
        print(
            f"    {name:<10} {took:>6.3f} s of processor time, {records / took:>8,.0f} records/s, clock {clock:.2f} s"
        )
    verdicts.tell("seconds", seconds["ours"], RELOAD_S, "s", most=True)
    verdicts.tell("seconds after a kill", seconds["walked"], RELOAD_S, "s", most=True)
    if "electrum" in seconds:
        verdicts.tell("x Electrum", seconds["electrum"] / seconds["ours"], RELOAD_TO_ELECTRUM)


def told_window(options: argparse.Namespace, folder: Path, verdicts: Verdicts) -> None:
    network = make_network(seed=1, channels=options.channels, now_s=options.now)
    empty = asyncio.run(with_window(None, folder / "empty"))
    held, most = asyncio.run(with_window(network, folder / "whole"))
    print(f"window: {held:.0f} MB with the graph, {most:.0f} MB at most; with an empty graph {empty[0]:.0f} MB")
    verdicts.tell("MB held", held, WINDOW_MB, "MB", most=True)
    verdicts.tell("MB at most", most, WINDOW_MB, "MB", most=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--channels", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=_CORES)
    parser.add_argument("--only", default=",".join(_ROWS))
    parser.add_argument("--child", choices=("ingest", "checked", "reload", "walked"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--now", type=int, default=int(time.time()) // _DAY_S * _DAY_S, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(figure(options)))
        return 0
    verdicts = Verdicts()
    told = {"ingest": told_ingest, "reload": told_reload, "window": told_window}
    with tempfile.TemporaryDirectory() as folder:
        for name in options.only.split(","):
            told[name](options, Path(folder), verdicts)
    return int(verdicts.missed)


if __name__ == "__main__":
    sys.exit(main())
