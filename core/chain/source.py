"""One interface for every place that a chain can come from.

The required part is small; the rest is declared in `capabilities`, and who would use a capability says what it does
without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from core.base.events import Event
from core.bolt.networks import Network


class Capability(StrEnum):
    """What a source may offer beyond the required part."""

    FEES = "fees"
    """`FeeSource`: fee estimates by confirmation target."""
    TX_BY_POSITION = "tx_by_position"
    """A transaction by block height and index: what checking a channel announcement needs."""
    OUTPUT_UNSPENT = "output_unspent"
    """Whether an output is unspent."""
    OUTPUTS_TOGETHER = "outputs_together"
    """`PositionSource`: many outputs by their positions, in one question."""
    SPEND_WATCH = "spend_watch"
    """`SpendWatch`: which outputs a block spends."""
    PROXY = "proxy"
    """Can be reached through the user's proxy."""


@dataclass(frozen=True, slots=True)
class Tip:
    """The last block of the chain with the most work."""

    height: int
    block_hash: bytes
    """32 bytes in wire order."""
    time: int
    """The block's own, seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class TipChanged(Event):
    """A block was added to the best chain; after a reorganisation it comes once, with the new tip."""

    tip: Tip


@dataclass(frozen=True, slots=True)
class ChainReorganised(Event):
    """Blocks above `fork_height` are no longer in the best chain; a `TipChanged` follows."""

    fork_height: int
    """The last height that both chains share."""
    old_tip: Tip


class ChainSource(Protocol):
    """The required part. `TipChanged` and `ChainReorganised` go to the node's event bus."""

    @property
    def network(self) -> Network:
        """The chain that it follows."""

    @property
    def description(self) -> str:
        """What it is and what it does not check, for people."""

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What it offers beyond this protocol."""

    async def tip(self) -> Tip:
        """The best block now. Raises ChainUnavailable."""

    async def header(self, height: int) -> bytes:
        """80 bytes of the best chain. Raises ChainUnavailable (also for a height above the tip)."""

    async def broadcast(self, transaction: bytes) -> bytes:
        """Hand a serialised transaction to the network; gives its txid in wire order. Raises ChainUnavailable."""

    async def aclose(self) -> None:
        """Let go of everything; closing twice does nothing."""


class FeeSource(Protocol):
    """What a source with `Capability.FEES` has besides."""

    async def fee_estimate(self, target_blocks: int) -> int | None:
        """sat per 1000 vbytes to confirm within `target_blocks`; None when it has none. Raises ChainUnavailable."""


@dataclass(frozen=True, slots=True)
class Bears:
    """How much a source may be asked by whoever has a lot to ask."""

    at_once: int
    a_second: float | None
    """None: as much as it answers."""
    together: int = 1
    """Outputs that one question may be about; more than one with `Capability.OUTPUTS_TOGETHER` alone."""


class TransactionSource(Protocol):
    """What a source with `Capability.TX_BY_POSITION` has besides."""

    @property
    def bears(self) -> Bears:
        """Transactions, with their outputs, that may be asked for."""

    async def transaction_at(self, height: int, index: int) -> bytes | None:
        """The serialised transaction; None when the best chain has no such height or index. Raises ChainUnavailable."""


@dataclass(frozen=True, slots=True)
class UnspentOutput:
    """An output that no block of the best chain spends."""

    amount_sat: int
    script_pubkey: bytes
    height: int
    """Of the block that it stands in."""


class OutputSource(Protocol):
    """What a source with `Capability.OUTPUT_UNSPENT` has besides."""

    async def unspent_output(self, txid: bytes, index: int) -> UnspentOutput | None:
        """`txid` in wire order; None when no block holds it or one spends it. Raises ChainUnavailable."""


@dataclass(frozen=True, slots=True)
class Position:
    """Of an output in the chain: block height, index of its transaction in the block, and its own in that."""

    height: int
    transaction: int
    output: int


class PositionSource(Protocol):
    """What a source with `Capability.OUTPUTS_TOGETHER` has besides."""

    async def unspent_at(self, positions: Sequence[Position]) -> list[tuple[bytes, UnspentOutput] | None]:
        """For each its transaction's id, in wire order, and the output; raises ChainUnavailable.

        None where it is not unspent, is not there or cannot be known: who wants to know which asks for that one.
        """


class SpendWatch(Protocol):
    """What a source with `Capability.SPEND_WATCH` has besides."""

    async def spent_at(self, height: int) -> frozenset[bytes] | None:
        """What the block at `height` of the best chain spends: outpoints, txid in wire order and index, 36 bytes each.

        None when there is no such height. Raises ChainUnavailable; ServerRefused where the block is no longer kept.
        """
