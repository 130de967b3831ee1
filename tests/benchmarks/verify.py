"""Signatures verified a second by two worker processes, beside what the library's calls alone do on two cores.

    python -m tests.benchmarks.verify [--channels 5000] [--rounds 7] [--workers 2]

Every row verifies the same mainnet-shaped network, announcements, updates and nodes mixed, once a round. `bare` is as
many processes that have nothing but signatures, keys and digests in memory and call libsecp256k1 for each: signature
parsed, key parsed, verified. `keys parsed` is the same with every key parsed beforehand, which is more than anybody has
who hears of a node for the first time. `ours, N` goes through `Verifier` from messages to verdicts, N records a call by
four callers; its workers are fresh in each round, so no key is known from the last one.

Two figures a row: by the processor time of all processes involved, the median of interleaved rounds; and by the clock,
the best round, since other work on the machine can only take from that. `idle` is the share of the time in which a
worker neither ran nor waited for a core, but for something to do; Linux tells, and other work does not lengthen it.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import psutil
from coincurve import GLOBAL_CONTEXT
from coincurve._libsecp256k1 import ffi, lib

from core.bolt.gossip import SignedPart, signed_part
from core.gossip.verification import Verifier
from core.gossip.verify_frames import LENGTH, Record, SignedBy, frames, parts
from tests.support.network import Network, make_network

BAR = 0.8
_CALLERS = 4
_PARSED = "keys parsed"


class Rate(NamedTuple):
    """Signatures a second."""

    wall: float
    processor: float
    idle: float = 0.0
    """Of the workers' time, 0 to 1."""


def records_of(network: Network) -> list[Record]:
    """As peers send them: a channel, its updates, then the nodes."""
    records: list[Record] = []
    for number, announcement in enumerate(network.channel_announcements):
        records.append(announcement)
        records += [SignedBy(network.channel_updates[at], network.signers[at]) for at in (2 * number, 2 * number + 1)]
    return records + list(network.node_announcements)


def part_of(record: Record) -> SignedPart:
    if isinstance(record, SignedPart):
        return record
    return signed_part(*record) if isinstance(record, SignedBy) else signed_part(record)


def bare(records: Sequence[Record], signatures: int, workers: int, parsed: bool) -> Rate:
    """So many processes, each with its share; they begin together."""
    command = [sys.executable, "-m", "tests.benchmarks.verify", "--child", *(["--parsed"] if parsed else [])]
    children = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=False) for _ in range(workers)
    ]
    for number, child in enumerate(children):
        share = [part_of(record) for record in records[number::workers]]
        assert child.stdin is not None
        child.stdin.write(b"".join(frame for _, frame in frames(share)) + LENGTH.pack(0))
        child.stdin.flush()
    for child in children:
        assert child.stdout is not None
        child.stdout.readline()
    began = time.perf_counter()
    for child in children:
        assert child.stdin is not None
        child.stdin.close()
    spent = [float(child.stdout.readline()) for child in children if child.stdout is not None]
    wall = time.perf_counter() - began
    for child in children:
        child.wait()
        assert child.stdout is not None
        child.stdout.close()
    return Rate(signatures / wall, signatures / sum(spent))


def child(parsed: bool) -> None:
    """Read the share, say so, wait for the end of stdin, work, tell the processor time."""
    source, context = sys.stdin.buffer, GLOBAL_CONTEXT.ctx
    checks = []
    while length := LENGTH.unpack(source.read(LENGTH.size))[0]:
        for part in parts(source.read(length)):
            assert part is not None
            checks += [(part.digest, signature, key, _point(key)) for signature, key in part.checks]
    print("ready", flush=True)
    source.read()
    began = time.process_time()
    read_signature, read_key = lib.secp256k1_ecdsa_signature_parse_compact, lib.secp256k1_ec_pubkey_parse
    verify = lib.secp256k1_ecdsa_verify
    compact, point = ffi.new("secp256k1_ecdsa_signature *"), ffi.new("secp256k1_pubkey *")
    for digest, signature, key, known in checks:
        if parsed:
            point = known
        else:
            assert read_key(context, point, key, len(key))
        assert read_signature(context, compact, signature)
        assert verify(context, compact, digest, point)
    print(time.process_time() - began, flush=True)


def _point(key: bytes) -> object:
    point = ffi.new("secp256k1_pubkey *")
    assert lib.secp256k1_ec_pubkey_parse(GLOBAL_CONTEXT.ctx, point, key, len(key))
    return point


async def ours(records: Sequence[Record], signatures: int, workers: int, batch: int) -> Rate:
    """From messages to verdicts."""
    batches = iter([records[start : start + batch] for start in range(0, len(records), batch)])
    async with Verifier.start(workers) as verifier:
        while not all(worker.ready for worker in verifier._workers):
            await asyncio.sleep(0.01)

        async def caller() -> None:
            for piece in batches:
                assert all(await verifier.verify(piece))

        pids = verifier.pids
        spent, busy, began = _processor_time(pids), _busy(pids), time.perf_counter()
        await asyncio.gather(*(caller() for _ in range(_CALLERS)))
        wall = time.perf_counter() - began
        idle = 1 - (_busy(pids) - busy) / (wall * workers)
        return Rate(signatures / wall, signatures / (_processor_time(pids) - spent), idle)


def _busy(pids: Iterable[int]) -> float:
    """Seconds in which the processes ran or waited for a core."""
    if not sys.platform.startswith("linux"):
        return 0.0
    told = [Path(f"/proc/{pid}/schedstat").read_text().split() for pid in pids]
    return sum(int(ran) + int(waited) for ran, waited, _ in told) / 1e9


def _processor_time(pids: Iterable[int]) -> float:
    times = [psutil.Process(pid).cpu_times() for pid in pids]
    return time.process_time() + sum(each.user + each.system for each in times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--channels", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--parsed", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.parsed)
        return
    records = records_of(make_network(seed=1, channels=options.channels))
    signatures = sum(len(part_of(record).checks) for record in records)
    print(f"{len(records):,} records, {signatures:,} signatures, {options.workers} workers")
    rows: dict[str, Callable[[], Rate]] = {
        "bare": lambda: bare(records, signatures, options.workers, parsed=False),
        _PARSED: lambda: bare(records, signatures, options.workers, parsed=True),
        **{
            f"ours, {batch}": lambda batch=batch: asyncio.run(ours(records, signatures, options.workers, batch))
            for batch in (16, 64, 256, 1_024)
        },
    }
    rates: dict[str, list[Rate]] = {name: [] for name in rows}
    for _ in range(options.rounds):
        for name, run in rows.items():
            rates[name].append(run())
    figures = {
        name: Rate(
            max(run.wall for run in runs),
            statistics.median(run.processor for run in runs),
            statistics.median(run.idle for run in runs),
        )
        for name, runs in rates.items()
    }
    for name, rate in figures.items():
        print(
            f"{name:>12}  clock {rate.wall:>9,.0f}/s {rate.wall / figures['bare'].wall:>5.2f} x bare"
            f" {rate.wall / figures[_PARSED].wall:>5.2f} x keys parsed"
            f"   processor {rate.processor:>9,.0f}/s {rate.processor / figures['bare'].processor:>5.2f} x bare"
            f" {rate.processor / figures[_PARSED].processor:>5.2f} x keys parsed"
            f"   idle {rate.idle:.1%}"
        )
    print(f"bar: {BAR} x bare")


if __name__ == "__main__":
    main()
