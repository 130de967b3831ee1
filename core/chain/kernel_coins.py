"""Every unspent output of the best chain by its outpoint, with what it takes to go back. Pure.

Bitcoin Core's kernel keeps the same set and decides by it, but does not let it be asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from core.chain.transactions import Output, Transaction

_OP_RETURN = 0x6A


@dataclass(frozen=True, slots=True)
class Coin:
    """One unspent output."""

    output: Output
    height: int
    coinbase: bool


class Coins:
    """Follows the best chain a block at a time, and back."""

    def __init__(self) -> None:
        self._coins: dict[bytes, Coin] = {}
        self._undo: list[tuple[list[bytes], list[tuple[bytes, Coin]]]] = []
        """A block: the outpoints that it made and the coins that it spent."""

    def get(self, outpoint: bytes) -> Coin | None:
        return self._coins.get(outpoint)

    def paying(self, script_pubkey: bytes) -> Iterator[tuple[bytes, Coin]]:
        """What can be spent by `script_pubkey`, the oldest first."""
        return (
            (outpoint, coin) for outpoint, coin in self._coins.items() if coin.output.script_pubkey == script_pubkey
        )

    def connect(self, transactions: Sequence[Transaction]) -> None:
        """Take in the next block's transactions, its coinbase first; whoever calls knows that they are valid."""
        height = len(self._undo) + 1
        made: list[bytes] = []
        spent: list[tuple[bytes, Coin]] = []
        for number, transaction in enumerate(transactions):
            if number > 0:
                spent.extend((outpoint, self._coins.pop(outpoint)) for outpoint in transaction.spends)
            for index, output in enumerate(transaction.outputs):
                if output.script_pubkey[:1] != bytes([_OP_RETURN]):
                    made.append(transaction.outpoint(index))
                    self._coins[made[-1]] = Coin(output, height, number == 0)
        self._undo.append((made, spent))

    def disconnect(self) -> None:
        """Forget the last block."""
        made, spent = self._undo.pop()
        self._coins.update(spent)
        # After the update: what was made and spent within the block is in both lists.
        for outpoint in made:
            del self._coins[outpoint]
