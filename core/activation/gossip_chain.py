"""The graph on the chain: channels are asked for, those whose funding output is spent fade, reorganisations are undone.

Stands between gossip and the chain source, which do not know each other.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Sequence

from core.base.clock import Clock
from core.base.events import EventBus
from core.bolt.wire import ShortChannelId
from core.chain.errors import ChainUnavailable, ServerRefused
from core.chain.headers import double_sha256
from core.chain.source import (
    Capability,
    ChainReorganised,
    ChainSource,
    OutputSource,
    Position,
    PositionSource,
    SpendWatch,
    Tip,
    TipChanged,
    TransactionSource,
)
from core.chain.transactions import Transaction, TransactionRefused, parse_transaction
from core.gossip.chain_check import ChainCheck, Funding, NoFunding, Pace, Wanted
from core.gossip.fundings import Fundings, SeenBlock
from core.gossip.kept_graph import KeptGraph
from core.gossip.limits import (
    BLOCKS_AHEAD,
    CHECK_RETRY_S,
    REORGANISED_UNSEEN_BLOCKS,
    SPENDS_READ_BLOCKS,
    TIP_OF_TODAY_S,
)
from core.gossip.service import Gossip

_LOOK_S = 5.0
_NEEDED = frozenset((Capability.TX_BY_POSITION, Capability.OUTPUT_UNSPENT))
_PARSED = 8
"""Funding transactions of many channels are asked for once a channel, one channel after the other."""
_PARSED_IN_LOOP_BYTES = 16 * 1024
"""Half a millisecond."""
_NOTE_BLOCKS = 100
_SLICE = 4096

_log = logging.getLogger(__name__)


class FundingsOnChain:
    """A `FundingOutputs` on a chain source that `can_check`."""

    def __init__(self, source: ChainSource) -> None:
        self._transactions: TransactionSource = source  # type: ignore[assignment]  # told by its capabilities
        self._outputs: OutputSource = source  # type: ignore[assignment]
        self._positions: PositionSource | None = None
        if Capability.OUTPUTS_TOGETHER in source.capabilities:
            self._positions = source  # type: ignore[assignment]
        self._parsed: OrderedDict[tuple[int, int], Transaction] = OrderedDict()

    @property
    def pace(self) -> Pace:
        bears = self._transactions.bears
        return Pace(bears.at_once, bears.a_second, bears.together)

    def forget(self) -> None:
        """The chain is another."""
        self._parsed.clear()

    async def funding_outputs(self, wanted: Sequence[Wanted]) -> list[Funding | NoFunding | None]:
        """See `FundingOutputs`. What is not found as it must be among all is asked for by itself, to know why."""
        try:
            found = await self._together(wanted)
        except ChainUnavailable as error:
            _log.debug("%d channels cannot be checked now: %s", len(wanted), error)
            return [None] * len(wanted)
        return [found.get(scid) or await self._funding_output(scid, script) for scid, script in wanted]

    async def _together(self, wanted: Sequence[Wanted]) -> dict[ShortChannelId, Funding]:
        """What is there, as far as the source can be asked for many."""
        if self._positions is None:
            return {}
        outputs = await self._positions.unspent_at([Position(*scid) for scid, _script in wanted])
        return {
            scid: Funding(output[1].amount_sat, output[0])
            for (scid, script), output in zip(wanted, outputs, strict=True)
            if output is not None and output[1].script_pubkey == script
        }

    async def _funding_output(self, scid: ShortChannelId, script_pubkey: bytes) -> Funding | NoFunding | None:
        try:
            transaction = await self._transaction(scid.block, scid.transaction)
            if transaction is None or scid.output >= len(transaction.outputs):
                return NoFunding.ABSENT
            if transaction.outputs[scid.output].script_pubkey != script_pubkey:
                return NoFunding.OTHER_SCRIPT
            unspent = await self._outputs.unspent_output(transaction.txid, scid.output)
        except (ChainUnavailable, TransactionRefused) as error:
            _log.debug("channel %s cannot be checked now: %s", scid, error)
            return None
        return NoFunding.SPENT if unspent is None else Funding(unspent.amount_sat, transaction.txid)

    async def _transaction(self, height: int, index: int) -> Transaction | None:
        known = self._parsed.get((height, index))
        if known is not None:
            return known
        raw = await self._transactions.transaction_at(height, index)
        if raw is None:
            return None
        if len(raw) > _PARSED_IN_LOOP_BYTES:
            transaction = await asyncio.to_thread(parse_transaction, raw)
        else:
            transaction = parse_transaction(raw)
        self._parsed[height, index] = transaction
        if len(self._parsed) > _PARSED:
            self._parsed.popitem(last=False)
        return transaction


def can_check(source: ChainSource) -> bool:
    """Whether the chain can be asked for funding outputs."""
    return source.capabilities >= _NEEDED


class GossipChain:
    """`run` does it, for a chain source that `can_check`."""

    def __init__(
        self, source: ChainSource, kept: KeptGraph, gossip: Gossip, fundings: Fundings, bus: EventBus, clock: Clock
    ) -> None:
        self._source = source
        self._kept = kept
        self._ingest = gossip.ingest
        self._fundings = fundings
        self._bus = bus
        self._clock = clock
        self._chain = FundingsOnChain(source)
        self._watch: SpendWatch | None = None
        if Capability.SPEND_WATCH in source.capabilities:
            self._watch = source  # type: ignore[assignment]  # told by its capabilities
        self._check = ChainCheck(kept, self._chain, self._chain.pace, fundings, gossip, clock)
        self._ingest.is_refuted = self._check.is_refuted
        gossip.channels_came = self._check.wake
        self._height = -1
        """Of the tip, once it is known."""
        self._seen = -1
        """What the blocks up to here spent is in the graph."""
        self._fork: int | None = None
        """Blocks above are no longer in the chain, and the graph does not know yet."""
        self._moved = asyncio.Event()

    async def run(self) -> None:
        """Until it is cancelled. Raises ProfileUnusable, StoreDamaged, DatabaseDamaged."""
        with self._bus.subscribe(ChainReorganised, self._reorganised), self._bus.subscribe(TipChanged, self._tip):
            try:
                await self._begin()
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._check.run())
                    group.create_task(self._follow())
                    group.create_task(self._wake_regularly())
            finally:
                self._ingest.highest_block = None

    def _tip(self, event: TipChanged) -> None:
        self._height = event.tip.height
        self._take_no_later_than(event.tip)
        self._check.tip(event.tip.height)
        self._moved.set()

    def _take_no_later_than(self, tip: Tip) -> None:
        is_todays = tip.time >= self._clock.time() - TIP_OF_TODAY_S
        self._ingest.highest_block = tip.height + BLOCKS_AHEAD if is_todays else None

    def _reorganised(self, event: ChainReorganised) -> None:
        self._go_back(event.fork_height)

    def _go_back(self, fork: int) -> None:
        self._fork = fork if self._fork is None else min(fork, self._fork)
        self._chain.forget()
        self._check.reorganised()
        self._ingest.reconsider()
        self._moved.set()

    async def _wake_regularly(self) -> None:
        """Channels come from imported files too, and what could not be known is asked for again."""
        while True:
            self._check.wake()
            if self._seen < self._height:
                self._moved.set()
            await self._clock.sleep(_LOOK_S)

    # -- the chain as it was when we were last here

    async def _begin(self) -> None:
        await self._forget_gone()
        while (height := await self._first_look()) is None:
            await self._clock.sleep(CHECK_RETRY_S)
        self._height = max(self._height, height)
        self._check.tip(self._height)
        self._moved.set()

    async def _first_look(self) -> int | None:
        """The tip's height; None when the chain cannot be asked."""
        try:
            tip = await self._source.tip()
            self._take_no_later_than(tip)
            await self._take_up(await self._fundings.seen(), tip.height)
        except ChainUnavailable:
            return None
        return tip.height

    async def _take_up(self, seen: SeenBlock | None, height: int) -> None:
        if seen is None:
            self._seen = height  # nothing was checked before
            await self._note()
            return
        self._seen = max(seen.height, height - SPENDS_READ_BLOCKS)
        if seen.height > height or await self._hash(seen.height) != seen.block_hash:
            self._go_back(max(0, min(seen.height, height) - REORGANISED_UNSEEN_BLOCKS))

    async def _hash(self, height: int) -> bytes:
        return double_sha256(await self._source.header(height))

    async def _forget_gone(self) -> None:
        known = await self._fundings.known()
        for first in range(0, len(known), _SLICE):
            part = known[first : first + _SLICE]
            await self._fundings.forget([scid for scid in part if self._kept.graph.row_of(scid) is None])

    # -- the chain as it grows

    async def _follow(self) -> None:
        while True:
            await self._moved.wait()
            self._moved.clear()
            if self._fork is not None:
                fork, self._fork = self._fork, None
                await self._kept.go_back(fork)
                self._seen = min(self._seen, fork)
                self._check.wake()
            try:
                await self._catch_up()
            except ChainUnavailable as error:
                _log.warning("what blocks spend cannot be read now: %s", error.reason)

    async def _catch_up(self) -> None:
        """Up to the tip, or to a reorganisation."""
        before = self._seen
        while self._seen < self._height and self._fork is None:
            height = self._seen + 1
            await self._take_spent(height)
            self._seen = height
            if height % _NOTE_BLOCKS == 0:
                await self._note()
        if self._seen != before and self._fork is None:
            await self._note()

    async def _take_spent(self, height: int) -> None:
        if self._watch is None:
            return
        try:
            spent = await self._watch.spent_at(height)
        except ServerRefused as error:
            _log.warning("what block %d spends is not known, channels that it closed stay: %s", height, error.reason)
            return
        if spent:
            await self._kept.mark_dying(await self._fundings.spent(spent), height)

    async def _note(self) -> None:
        await self._fundings.note_seen(SeenBlock(self._seen, await self._hash(self._seen)))
