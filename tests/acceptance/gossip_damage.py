"""A store that the program wrote, cut and flipped at random places: what is lost is what is told to be lost.

What is lost is found by `gossip_naive`, which shares nothing with the program. Most damage goes through the function
that opens a store; some starts the program itself, whose words and lists are compared.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from core.gossip.store import open_gossip_store
from tests.acceptance import gossip_naive as naive
from tests.acceptance.gossip_feeder import Feeder
from tests.acceptance.gossip_listed import differing, graph_line, listed, until_true
from tests.acceptance.gossip_part import UNASKED, Part
from tests.acceptance.program import InstalledLeyden

_FEED_S = 60.0
_CHANNELS = 60
_STARTED_SHARE = 20
"""A start of the program takes a second, opening the store in this process some milliseconds."""
_OWN_NOTES = (naive.AMOUNT, naive.DELETE_CHANNEL, naive.CHANNEL_DYING, naive.STORE_ID)


@dataclass(frozen=True, slots=True)
class Damage:
    """One, as bytes of a file."""

    how: str
    place: int
    content: bytes


@dataclass(frozen=True, slots=True)
class Told:
    """What was said of it."""

    torn_bytes: int
    lost_records: int
    lost_bytes: int
    restored: int


async def damages(folder: Path, count: int, seed: int) -> Part:
    """`count` through the open path and a twentieth as many through the program, cuts and flips by turns."""
    started = max(1, count // _STARTED_SHARE)
    content = await _written_by_the_program(folder / "writer", seed)
    chance = random.Random(seed)
    bad: list[str] = []
    lost: Counter[str] = Counter()
    for number in range(count):
        damage = _damage(content, chance, cut=bool(number % 2))
        bad += await _opened(folder / "gossip_store", content, damage, lost)
    for number in range(started):
        damage = _damage(content, chance, cut=bool(number % 2))
        bad += await _started(folder / f"start{number}", content, damage)
    whole = naive.records(content)
    facts = {
        "opened": count,
        "programs started": started,
        "store": f"{len(content)} bytes, {len(whole)} records, {sum(not raw.lives for raw in whole)} of them deleted",
        "came to, of those opened": dict(lost),
        "lost is found by": "a parser of this test's own, from the file before and after",
    }
    command = f"python -m tests.acceptance.gossip_store damage --count {count} --seed {seed}"
    return Part("damage", command, facts, bad)


async def _written_by_the_program(folder: Path, seed: int) -> bytes:
    """With a history: hundreds of updates took the place of older ones."""
    async with await Feeder.start(seed, _CHANNELS) as feeder, await InstalledLeyden.start(folder, *UNASKED) as leyden:
        path = leyden.data_dir / "regtest" / "gossip_store"
        await feeder.feed(leyden.port, leyden.node_id)

        async def has_a_history() -> bool:
            found = naive.records(path.read_bytes()) if path.exists() else []
            return len(found) > 8 * _CHANNELS and sum(not raw.lives for raw in found) > 2 * _CHANNELS

        await until_true(has_a_history, _FEED_S)
        await leyden.stop()
        return path.read_bytes()


def _damage(content: bytes, chance: random.Random, *, cut: bool) -> Damage:
    if cut:
        place = chance.randrange(1, len(content))
        return Damage("cut", place, content[:place])
    place = chance.randrange(len(content))
    changed = bytes([content[place] ^ chance.randrange(1, 256)])
    return Damage("flip", place, content[:place] + changed + content[place + 1 :])


async def _opened(path: Path, content: bytes, damage: Damage, lost: Counter[str]) -> list[str]:
    path.write_bytes(damage.content)
    try:
        store = await open_gossip_store(path)
        await store.aclose()
    except Exception as error:  # noqa: BLE001 - whatever the start did is the result
        return [f"{damage.how} at {damage.place}: {type(error).__name__}: {error}"]
    report = store.report
    told = Told(report.torn_bytes, report.lost_records, report.lost_bytes, report.restored)
    lost["torn" if told.torn_bytes else "lost" if told.lost_records else "nothing lost"] += 1
    problems = _untrue(content, damage, path.read_bytes(), told)
    again = (await open_gossip_store(path)).report
    if again.problem or again.torn_bytes or again.lost_bytes or again.restored:
        problems.append(f"the next start says it again: {again}")
    return [f"{damage.how} at {damage.place}: {problem}" for problem in problems]


def _untrue(content: bytes, damage: Damage, after: bytes, told: Told) -> list[str]:
    """What of `told` is not so, by the file before and after."""
    gone, more = naive.gone(naive.live(content), naive.live(after))
    if damage.how == "cut":
        return _untrue_of_cut(content, damage.place, after, told, len(more))
    problems = []
    if len(more) > told.restored:
        problems.append(f"{len(more)} messages came in, told are {told.restored} restored")
    hit = [raw for raw in naive.records(content) if raw.start <= damage.place < raw.end]
    mine = {raw.message for raw in hit}
    strangers = [message for message in gone if message not in mine and message[:2] != _AMOUNT]
    if strangers:
        problems.append(f"{len(strangers)} records are lost that were not hit")
    size = sum(naive.HEADER.size + len(message) for message in gone)
    if told.torn_bytes:
        if told.torn_bytes != sum(naive.HEADER.size + len(raw.message) for raw in hit):
            problems.append(f"{told.torn_bytes} bytes are told as cut off, {hit} was hit")
    elif gone and (told.lost_bytes, told.lost_records) != (size, len(gone)):
        problems.append(f"lost are {len(gone)} records of {size} bytes, told {told.lost_records} of {told.lost_bytes}")
    elif not gone and told.lost_records and not all(raw.kind in _OWN_NOTES for raw in hit):
        problems.append(f"nothing is lost, told are {told.lost_records} records")
    return problems


def _untrue_of_cut(content: bytes, place: int, after: bytes, told: Told, more: int) -> list[str]:
    whole = max((raw.end for raw in naive.records(content) if raw.end <= place), default=1)
    problems = []
    if (told.torn_bytes, told.lost_records, told.lost_bytes) != (place - whole, 0, 0):
        problems.append(f"{place - whole} bytes are behind the last whole record, told is {told}")
    if len(after) != whole:
        problems.append(f"the file is {len(after)} bytes long, its whole records {whole}")
    missing, _ = naive.gone(naive.live(content[:whole]), naive.live(after))
    if missing:
        problems.append(f"{len(missing)} records before the cut are gone")
    if more > told.restored:
        problems.append(f"{more} messages came back, told are {told.restored}")
    return problems


async def _started(folder: Path, content: bytes, damage: Damage) -> list[str]:
    path = folder / "data" / "regtest" / "gossip_store"
    path.parent.mkdir(mode=0o700, parents=True)
    path.write_bytes(damage.content)
    async with await InstalledLeyden.start(folder, *UNASKED) as leyden:
        line, now, after = graph_line(leyden), await listed(leyden), path.read_bytes()
    told = Told(
        _number(line, r"(\d+) bytes of an unfinished record cut off"),
        _number(line, r"(\d+) damaged records left out"),
        _number(line, r"(\d+) bytes lost in all"),
        _number(line, r"(\d+) records back that nothing had deleted"),
    )
    problems = _untrue(content, damage, after, told) + differing(naive.facts(after), now)
    return [f"program, {damage.how} at {damage.place}: {problem} ({line})" for problem in problems]


def _number(line: str, pattern: str) -> int:
    found = re.search(pattern, line)
    return int(found[1]) if found else 0


_AMOUNT = naive.AMOUNT.to_bytes(2, "big")
