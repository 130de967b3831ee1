"""Asking the chain: what it holds is checked, what it does not goes, what it cannot tell stays and is asked again."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from core.base.events import EventBus
from core.bolt.gossip import ChannelAnnouncement
from core.bolt.wire import ShortChannelId
from core.gossip.chain_check import ChainCheck, Funding, NoFunding, Pace, Wanted, funding_script
from core.gossip.fundings import Fundings
from core.gossip.graph_values import Trust
from core.gossip.kept_graph import KeptGraph
from core.gossip.limits import CHECK_RETRY_S, CHECKED_AT_DEPTH, CHECKS_AT_ONCE, LONGEST_CHECK_RETRY_S, REFUTED
from core.storage.database import Database
from tests.support.clock import ManualClock
from tests.support.peers import until
from tests.unit.gossip.graphs import CHAIN, NOW, channel, scid, update
from tests.unit.gossip.test_kept_graph import news

HEIGHT = 1000
CAPACITY_SAT = 12_345
FAST = Pace(4, None)


@dataclass
class Chain:
    """Holds what nothing else is said of."""

    answers: dict[int, NoFunding | None] = field(default_factory=dict)
    asked: Counter[int] = field(default_factory=Counter)
    questions: list[int] = field(default_factory=list)
    """How many channels each was about."""
    scripts: dict[int, bytes] = field(default_factory=dict)
    silent: asyncio.Event = field(default_factory=asyncio.Event)
    """Set: it answers."""
    under_way: int = 0
    most: int = 0

    async def funding_outputs(self, wanted: Sequence[Wanted]) -> list[Funding | NoFunding | None]:
        self.questions.append(len(wanted))
        return list(await asyncio.gather(*(self._funding_output(scid, script) for scid, script in wanted)))

    async def _funding_output(self, scid: ShortChannelId, script_pubkey: bytes) -> Funding | NoFunding | None:
        self.asked[int(scid)] += 1
        self.scripts[int(scid)] = script_pubkey
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        answer = self.answers.get(int(scid), Funding(CAPACITY_SAT, bytes([int(scid) >> 40 & 0xFF]) * 32))
        await self.silent.wait()
        self.under_way -= 1
        return answer


@dataclass
class Told:
    checked_: list[int] = field(default_factory=list)
    refuted_: list[tuple[int, bool]] = field(default_factory=list)
    with_them: list[int] = field(default_factory=list)
    """What goes with the first that is refuted."""

    def checked(self, scids: Sequence[int]) -> None:
        self.checked_ += scids

    def refuted(self, scids: Sequence[int], *, blamed: bool) -> list[int]:
        self.refuted_ += [(scid, blamed) for scid in scids]
        with_them, self.with_them = self.with_them, []
        return with_them


@dataclass
class Rig:
    kept: KeptGraph
    check: ChainCheck
    chain: Chain
    told: Told
    fundings: Fundings
    clock: ManualClock

    async def take(self, numbers: Iterable[int], capacity_sat: int | None = None) -> None:
        await self.kept.take(news(*(channel(number, 1, 2) for number in numbers), capacity_sat=capacity_sat))
        self.check.wake()

    def trust(self, number: int) -> Trust | None:
        found = self.kept.graph.channel(int(scid(number)))
        return None if found is None else found.trust


@contextlib.asynccontextmanager
async def rig(folder: Path, *, height: int = HEIGHT, pace: Pace = FAST) -> AsyncIterator[Rig]:
    clock, chain, told = ManualClock(time=NOW), Chain(), Told()
    chain.silent.set()
    database = await Database.open(folder / "leyden.sqlite")
    kept = await KeptGraph.open(folder / "gossip_store", CHAIN, EventBus(), clock)
    fundings = Fundings(database)
    check = ChainCheck(kept, chain, pace, fundings, told, clock)
    check.tip(height)
    working = asyncio.create_task(check.run())
    try:
        yield Rig(kept, check, chain, told, fundings, clock)
    finally:
        working.cancel()
        await asyncio.wait([working])
        await kept.aclose()
        await database.aclose()
    assert working.cancelled()


async def test_what_the_chain_holds_is_checked_and_stays_so_after_a_restart(tmp_path: Path) -> None:
    async with rig(tmp_path) as one:
        await one.take([7, 8])
        await until(lambda: one.kept.graph.checked_count == 2, 20)
        await until(lambda: sorted(one.told.checked_) == [int(scid(7)), int(scid(8))], 20)
        assert {found.capacity_sat for found in one.kept.graph.channels()} == {CAPACITY_SAT}
        assert one.chain.scripts[int(scid(7))] == funding_script(channel(7, 1, 2))
        assert sorted(await one.fundings.known()) == [int(scid(7)), int(scid(8))]
    async with rig(tmp_path) as again:
        assert again.kept.graph.checked_count == 2
        assert {found.capacity_sat for found in again.kept.graph.channels()} == {CAPACITY_SAT}
        await again.take([9])
        await until(lambda: again.trust(9) is Trust.CHECKED, 20)
        assert set(again.chain.asked) == {int(scid(9))}, "what was checked before is not asked for again"


async def test_what_was_unchecked_at_the_start_is_asked_for(tmp_path: Path) -> None:
    async with rig(tmp_path, height=-1) as one:
        await one.take([7])
        assert one.trust(7) is Trust.UNCHECKED
    async with rig(tmp_path) as again:
        await until(lambda: again.trust(7) is Trust.CHECKED, 20)


async def test_what_the_chain_does_not_hold_goes_and_is_not_asked_for_again(tmp_path: Path) -> None:
    async with rig(tmp_path) as one:
        one.chain.answers = {
            int(scid(7)): NoFunding.ABSENT,
            int(scid(8)): NoFunding.OTHER_SCRIPT,
            int(scid(9)): NoFunding.SPENT,
        }
        await one.take([7, 8, 9, 10])
        await until(lambda: len(one.kept.graph) == 1 and one.kept.graph.checked_count == 1, 20)
        await until(lambda: len(one.told.refuted_) == 3, 20)
        assert sorted(one.told.refuted_) == [(int(scid(7)), True), (int(scid(8)), True), (int(scid(9)), False)]
        assert all(one.check.is_refuted(channel(number, 3, 4).encode()) for number in (7, 8, 9))
        assert not one.check.is_refuted(channel(10, 1, 2).encode())
        one.check.reorganised()
        assert not one.check.is_refuted(channel(7, 1, 2).encode()), "another chain may hold it"
    async with rig(tmp_path) as again:
        assert len(again.kept.graph) == 1


async def test_what_else_a_liar_brought_goes_unasked(tmp_path: Path) -> None:
    async with rig(tmp_path) as one:
        count = 3 * CHECKS_AT_ONCE
        one.chain.answers = {int(scid(number)): NoFunding.ABSENT for number in range(count)}
        one.told.with_them = [int(scid(number)) for number in range(CHECKS_AT_ONCE, count)]
        one.chain.silent.clear()
        await one.take(range(count + 1))
        one.chain.silent.set()
        await until(lambda: one.kept.graph.checked_count == len(one.kept.graph) == 1, 20)
        assert one.chain.asked.total() == CHECKS_AT_ONCE + 1


async def test_other_keys_for_the_same_output_are_another_question(tmp_path: Path) -> None:
    """Nobody keeps a channel from us by announcing it with keys of his own first."""
    async with rig(tmp_path) as one:
        one.chain.answers = {int(scid(7)): NoFunding.OTHER_SCRIPT}
        await one.take([7])
        await until(lambda: one.trust(7) is None, 20)
        assert one.check.is_refuted(channel(7, 1, 2).encode())
        assert not one.check.is_refuted(with_keys(7, b"\x03" * 33).encode())


def with_keys(number: int, key: bytes) -> ChannelAnnouncement:
    bare = channel(number, 1, 2)
    return ChannelAnnouncement(
        *(bytes(64),) * 4, b"", bare.chain_hash, bare.short_channel_id, bare.node_id_1, bare.node_id_2, key, key
    )


async def test_what_is_remembered_of_refuted_channels_is_bounded(tmp_path: Path) -> None:
    async with rig(tmp_path) as one:
        one.check._remember(range(REFUTED + 10), dict.fromkeys(range(REFUTED + 10), bytes(34)))
        assert len(one.check._refuted) == REFUTED


async def test_a_channel_is_asked_for_once_it_is_six_deep(tmp_path: Path) -> None:
    block = scid(7).block
    async with rig(tmp_path, height=block + CHECKED_AT_DEPTH - 2) as one:
        await one.take([7, 6])
        await until(lambda: one.trust(6) is Trust.CHECKED, 20)
        assert one.trust(7) is Trust.UNCHECKED and int(scid(7)) not in one.chain.asked
        one.check.tip(block + CHECKED_AT_DEPTH - 1)
        await until(lambda: one.trust(7) is Trust.CHECKED, 20)


async def test_a_block_beyond_our_tip_is_nobodys_fault(tmp_path: Path) -> None:
    async with rig(tmp_path, height=50) as one:
        await one.take([7])
        one.check.tip(51)
        await until(lambda: not one.check._there.is_set(), 20)
        assert (one.chain.asked.total(), one.told.refuted_, one.trust(7)) == (0, [], Trust.UNCHECKED)


async def test_what_cannot_be_known_stays_unchecked_and_is_asked_for_later(tmp_path: Path) -> None:
    async with rig(tmp_path) as one:
        one.chain.answers = {int(scid(7)): None}
        await one.take([7, 8])
        await until(lambda: one.trust(8) is Trust.CHECKED and not one.check._there.is_set(), 20)
        one.check.wake()
        await until(lambda: not one.check._there.is_set(), 20)
        assert (one.chain.asked[int(scid(7))], one.trust(7)) == (1, Trust.UNCHECKED)
        one.chain.answers.clear()
        await one.clock.advance(CHECK_RETRY_S)
        one.check.wake()
        await until(lambda: one.trust(7) is Trust.CHECKED, 20)
        assert one.chain.asked == {int(scid(7)): 2, int(scid(8)): 1}


async def test_what_can_never_be_known_is_asked_for_ever_more_rarely(tmp_path: Path) -> None:
    """As blocks that a pruned node no longer has. A new block is an occasion nevertheless."""
    async with rig(tmp_path) as one:
        one.chain.answers = {int(scid(7)): None}
        await one.take([7])
        times, pause_s = 1, CHECK_RETRY_S
        await until(lambda: one.chain.asked[int(scid(7))] == times and not one.check._there.is_set(), 20)
        while pause_s < 2 * LONGEST_CHECK_RETRY_S:
            await one.clock.advance(min(pause_s, LONGEST_CHECK_RETRY_S) - 1)
            one.check.wake()
            await until(lambda: not one.check._there.is_set(), 20)
            assert one.chain.asked[int(scid(7))] == times
            await one.clock.advance(1)
            one.check.wake()
            times, pause_s = times + 1, 2 * pause_s
            await until(lambda now=times: one.chain.asked[int(scid(7))] == now and not one.check._there.is_set(), 20)
        one.check.tip(HEIGHT + 1)
        await until(lambda: one.chain.asked[int(scid(7))] == times + 1, 20)


async def test_a_block_that_comes_meanwhile_has_the_question_asked_again(tmp_path: Path) -> None:
    """It may have spent the output, and have been looked at before the output was known to be watched."""
    async with rig(tmp_path) as one:
        one.chain.silent.clear()
        await one.take([7])
        await until(lambda: one.chain.under_way == 1, 20)
        one.check.tip(HEIGHT + 1)
        one.chain.answers = {int(scid(7)): NoFunding.SPENT}
        one.chain.silent.set()
        await until(lambda: one.trust(7) is None, 20)
        assert one.told.checked_ == []


async def test_no_more_is_asked_at_once_than_the_source_bears(tmp_path: Path) -> None:
    async with rig(tmp_path, pace=Pace(3, None)) as one:
        one.chain.silent.clear()
        await one.take(range(2 * CHECKS_AT_ONCE + 1))
        await until(lambda: one.chain.under_way == 3, 20)
        one.chain.silent.set()
        await until(lambda: one.kept.graph.checked_count == 2 * CHECKS_AT_ONCE + 1, 20)
        assert one.chain.most == 3
        assert set(one.chain.asked.values()) == {1}


async def test_one_question_is_about_as_many_as_the_source_bears(tmp_path: Path) -> None:
    async with rig(tmp_path, pace=Pace(2, None, together=CHECKS_AT_ONCE - 4)) as one:
        one.chain.answers = {int(scid(3)): NoFunding.ABSENT, int(scid(4)): None}
        await one.take(range(CHECKS_AT_ONCE))
        await until(lambda: one.kept.graph.checked_count == CHECKS_AT_ONCE - 2, 20)
        await until(lambda: one.told.refuted_ == [(int(scid(3)), True)], 20)
        assert one.trust(4) is Trust.UNCHECKED
        assert sorted(one.chain.questions) == [4, CHECKS_AT_ONCE - 4]


async def test_no_faster_is_asked_than_the_source_bears(tmp_path: Path) -> None:
    async with rig(tmp_path, pace=Pace(4, 2.0)) as one:
        await one.take(range(10))
        await until(lambda: one.chain.asked.total() == 1, 20)
        for second in range(1, 4):
            await one.clock.advance(1)
            assert one.chain.asked.total() == 1 + 2 * second
        await one.clock.advance(2)
        await until(lambda: one.kept.graph.checked_count == 10, 20)


async def test_updates_go_on_while_the_chain_is_asked(tmp_path: Path) -> None:
    async with rig(tmp_path) as one:
        one.chain.silent.clear()
        await one.take([7])
        await until(lambda: one.chain.under_way == 1, 20)
        await one.kept.take(news(update(7, 0)))
        found = one.kept.graph.channel(int(scid(7)))
        assert found is not None and found.policies[0] is not None
        one.chain.silent.set()
        await until(lambda: one.trust(7) is Trust.CHECKED, 20)


async def test_the_end_of_a_channel_is_kept_and_taken_back(tmp_path: Path) -> None:
    async with rig(tmp_path) as one:
        await one.take([7, 8], capacity_sat=5000)
        await one.kept.mark_dying([int(scid(7)), int(scid(8))], 900)
        await one.kept.go_back(899)
        assert not any(found.dying for found in one.kept.graph.channels())
        await one.kept.mark_dying([int(scid(7))], 901)
    async with rig(tmp_path) as again:
        assert {int(found.short_channel_id): found.dying for found in again.kept.graph.channels()} == {
            int(scid(7)): True,
            int(scid(8)): False,
        }
        assert await again.kept.prune(901 + 71) == 0
        assert await again.kept.prune(901 + 72) == 1
        assert again.trust(7) is None
    async with rig(tmp_path) as last:
        assert [int(found.short_channel_id) for found in last.kept.graph.channels()] == [int(scid(8))]


async def test_a_compaction_moves_the_note_of_an_end(tmp_path: Path) -> None:
    async with rig(tmp_path) as one:
        await one.take([7], capacity_sat=5000)
        for age in range(1200, 0, -1):
            await one.kept.take(news(update(7, 0, timestamp=NOW - age)))
        await one.kept.mark_dying([int(scid(7))], 900)
        await one.kept.compact()
        await one.kept.go_back(899)
    async with rig(tmp_path) as again:
        assert [found.dying for found in again.kept.graph.channels()] == [False]


async def test_what_a_reorganisation_took_is_unchecked_after_a_restart_too(tmp_path: Path) -> None:
    async with rig(tmp_path, height=-1) as one:
        await one.take([7, 8], capacity_sat=5000)
        await one.kept.go_back(scid(8).block - 1)
        assert (one.trust(7), one.trust(8)) == (Trust.CHECKED, Trust.UNCHECKED)
    async with rig(tmp_path, height=-1) as again:
        assert (again.trust(7), again.trust(8)) == (Trust.CHECKED, Trust.UNCHECKED)


async def test_what_was_seen_unspent_once_fades_when_it_is_asked_for_again(tmp_path: Path) -> None:
    async with rig(tmp_path) as one:
        await one.take([7])
        await until(lambda: one.trust(7) is Trust.CHECKED, 20)
        one.chain.answers = {int(scid(7)): NoFunding.SPENT}
        await one.kept.go_back(scid(7).block - 1)
        one.check.wake()
        await until(lambda: all(found.dying for found in one.kept.graph.channels()), 20)
        assert one.trust(7) is Trust.UNCHECKED
        await until(lambda: not one.check._there.is_set(), 20)
        assert one.chain.asked[int(scid(7))] == 2
        assert await one.kept.prune(HEIGHT + 72) == 1
