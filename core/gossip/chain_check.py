"""Asking the chain for the funding outputs of channels (BOLT 7): what it holds is checked, what not is taken out.

Channels are in the graph before, as unchecked, so what is to be asked is always what the graph has: after a start, once
the chain can be asked again, and after a reorganisation too.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from core.base.clock import Clock
from core.bolt.gossip import ChannelAnnouncement
from core.bolt.wire import ShortChannelId
from core.gossip.fundings import Fundings
from core.gossip.graph_checks import unsure
from core.gossip.kept_graph import KeptGraph
from core.gossip.limits import CHECK_RETRY_S, CHECKED_AT_DEPTH, CHECKS_AT_ONCE, LONGEST_CHECK_RETRY_S, REFUTED
from core.gossip.store_format import StoreDamaged


@dataclass(frozen=True, slots=True)
class Funding:
    """The funding output stands in the chain, with the right script, and nothing spends it."""

    capacity_sat: int
    txid: bytes
    """In wire order."""


class NoFunding(Enum):
    """Why a channel has no funding output."""

    ABSENT = "absent"
    """No such transaction or output in that block."""
    OTHER_SCRIPT = "other script"
    """An output that these keys have no part in."""
    SPENT = "spent"


Wanted = tuple[ShortChannelId, bytes]
"""Of a funding output: where it is, and what its script must be."""


class FundingOutputs(Protocol):
    """Where a chain can be asked."""

    async def funding_outputs(self, wanted: Sequence[Wanted]) -> list[Funding | NoFunding | None]:
        """None for what cannot be known now. The blocks are `CHECKED_AT_DEPTH` deep or deeper."""


class Answered(Protocol):
    """`core.gossip.service.Gossip`."""

    def checked(self, scids: Sequence[int]) -> None:
        """The chain holds these."""

    def refuted(self, scids: Sequence[int], *, blamed: bool) -> list[int]:
        """It does not; `blamed`: and never did. Gives channels that go with these without being asked for."""


@dataclass(frozen=True, slots=True)
class Pace:
    """What a chain source bears."""

    at_once: int
    a_second: float | None
    """None: as many as it answers."""
    together: int = 1
    """Channels that one question may be about."""


class ChainCheck:
    """`run` does it. Told of the tip before and while it runs."""

    def __init__(
        self, kept: KeptGraph, chain: FundingOutputs, pace: Pace, fundings: Fundings, told: Answered, clock: Clock
    ) -> None:
        self._kept = kept
        self._chain = chain
        self._pace = pace
        self._fundings = fundings
        self._told = told
        self._clock = clock
        self._height = -1
        self._version = 0
        """Grows with the chain: what was asked for before a block may be over with it."""
        self._row = 0
        """Where in the graph's channels we are."""
        self._unknown = False
        """Whether something in this round could not be known."""
        self._not_before = 0.0
        self._pause_s = CHECK_RETRY_S
        self._next = 0.0
        """When the next question may be asked."""
        self._there = asyncio.Event()
        self._refuted: OrderedDict[bytes, None] = OrderedDict()

    def tip(self, height: int) -> None:
        """The chain is so high now."""
        self._height = height
        self._version += 1
        self._not_before = 0.0  # who tells of a block can be asked
        self.wake()

    def reorganised(self) -> None:
        """What it did not hold it may hold now."""
        self._refuted.clear()
        self._version += 1

    def wake(self) -> None:
        """There may be something to ask."""
        self._there.set()

    def is_refuted(self, message: bytes) -> bool:
        """Whether the chain has told already that it does not hold the channel announced with these keys."""
        if not self._refuted:
            return False
        announcement = ChannelAnnouncement.decode(message)
        return _key(int(announcement.short_channel_id), funding_script(announcement)) in self._refuted

    async def run(self) -> None:
        """Until it is cancelled. Raises ProfileUnusable, StoreDamaged, DatabaseDamaged."""
        while True:
            await self._there.wait()
            if not await self._next_part():
                self._there.clear()

    async def _next_part(self) -> bool:
        """Ask for some; False when there is nothing to ask for now."""
        if self._clock.monotonic() < self._not_before:
            return False
        highest = self._height - CHECKED_AT_DEPTH + 1
        scids, self._row = unsure(self._kept.graph, self._row, CHECKS_AT_ONCE, highest)
        if scids:
            await self._ask(scids)
        elif self._unknown:
            self._unknown = False
            self._not_before = self._clock.monotonic() + self._pause_s
            self._pause_s = min(2 * self._pause_s, LONGEST_CHECK_RETRY_S)
        else:
            self._pause_s = CHECK_RETRY_S
            # The round has ended at the last row; what came before its beginning is asked for in another.
            scids, _row = unsure(self._kept.graph, 0, 1, highest)
        return bool(scids)

    async def _ask(self, scids: Sequence[int]) -> None:
        version = self._version
        scripts = await self._scripts(scids)
        room = asyncio.Semaphore(self._pace.at_once)

        async def ask(scids: Sequence[int]) -> list[Funding | NoFunding | None]:
            async with room:
                await self._wait_for_turn()
                return await self._chain.funding_outputs(
                    [(ShortChannelId.from_int(scid), scripts[scid]) for scid in scids]
                )

        asked, many = sorted(scripts), self._pace.together  # those of one block together
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(ask(asked[first : first + many])) for first in range(0, len(asked), many)]
        found = dict(zip(asked, itertools.chain(*(task.result() for task in tasks)), strict=True))
        self._unknown |= any(found.get(scid) is None for scid in scids)
        if version == self._version:  # else a block came meanwhile that may have spent one of them: ask again
            await self._apply(found, scripts)

    async def _wait_for_turn(self) -> None:
        if self._pace.a_second is not None:
            now = self._clock.monotonic()
            self._next = max(now, self._next) + 1 / self._pace.a_second
            await self._clock.sleep(self._next - 1 / self._pace.a_second - now)

    async def _scripts(self, scids: Sequence[int]) -> dict[int, bytes]:
        """What each funding output must be, by the keys of its announcement."""
        channels = [channel for channel in map(self._kept.graph.channel, scids) if channel is not None]
        stored = [channel.offset for channel in channels if channel.offset]
        try:
            messages = await self._kept.store.read(stored)
        except StoreDamaged:  # the file was compacted meanwhile: the next round has the new places
            self._unknown = True
            return {}
        announcements = map(ChannelAnnouncement.decode, messages)
        return {int(one.short_channel_id): funding_script(one) for one in announcements}

    async def _apply(self, found: dict[int, Funding | NoFunding | None], scripts: dict[int, bytes]) -> None:
        held = {scid: one for scid, one in found.items() if isinstance(one, Funding)}
        if held:
            # First what is to be watched: a channel that is checked is one whose end would be seen.
            await self._fundings.remember([(scid, one.txid) for scid, one in held.items()])
            checked = await self._kept.check({scid: one.capacity_sat for scid, one in held.items()})
            self._told.checked(checked)
        for reason in NoFunding:
            gone = [scid for scid, one in found.items() if one is reason]
            if reason is NoFunding.SPENT:
                gone = await self._fade(gone)
            if gone:
                self._remember(gone, scripts)
                # Before they are gone: who brought them is known as long as they are there.
                gone += self._told.refuted(gone, blamed=reason is not NoFunding.SPENT)
                for first in range(0, len(gone), CHECKS_AT_ONCE):  # others change the graph in between
                    await self._kept.remove(gone[first : first + CHECKS_AT_ONCE])

    async def _fade(self, spent: Sequence[int]) -> list[int]:
        """Those that were seen unspent once may be splices, and go as BOLT 7 has it; gives the others."""
        once = await self._fundings.known_of(spent) if spent else []
        await self._kept.mark_dying(once, self._height)
        return [scid for scid in spent if scid not in once]

    def _remember(self, scids: Sequence[int], scripts: dict[int, bytes]) -> None:
        """With the keys: nobody can keep a channel from us by announcing it with others first."""
        for scid in scids:
            self._refuted[_key(scid, scripts[scid])] = None
        while len(self._refuted) > REFUTED:
            self._refuted.popitem(last=False)


def funding_script(announcement: ChannelAnnouncement) -> bytes:
    """BOLT 3: P2WSH of 2-of-2 of the bitcoin keys in lexicographic order."""
    first, second = sorted((announcement.bitcoin_key_1, announcement.bitcoin_key_2))
    script = b"\x52\x21" + first + b"\x21" + second + b"\x52\xae"
    return b"\x00\x20" + hashlib.sha256(script).digest()


def _key(scid: int, script: bytes) -> bytes:
    return scid.to_bytes(8, "big") + script[2:18]
