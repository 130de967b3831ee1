"""The embedded chain that Bitcoin Core's kernel validates, without the event loop: every call may block.

Which chain is the best is decided here, by `BlockTree`; whether a block is valid is decided by the kernel alone. It
checks a block in full only on the chain with the most work, so a block that is none yet is proven: empty blocks are put
on it, which nobody keeps, until the kernel has made it part of its best chain or has refused it. What a block may be
depends on the blocks below it only. That is also how a transaction is tried before it is taken in.
"""

from __future__ import annotations

import itertools
import random
from pathlib import Path

from core.base.events import Event
from core.chain.errors import ChainDamaged, ChainUnavailable, FaucetEmpty
from core.chain.headers import HEADER_BYTES, Block, BlockTree, HeaderRefused
from core.chain.kernel_blocks import ANYONE_CAN_SPEND, COINBASE_MATURITY_BLOCKS, make_block
from core.chain.kernel_coins import Coin, Coins
from core.chain.kernel_engine import Kernel
from core.chain.kernel_file import BlockFile
from core.chain.source import ChainReorganised, Tip, TipChanged
from core.chain.transactions import (
    Output,
    Transaction,
    TransactionRefused,
    parse_block_transactions,
    parse_transaction,
    serialise,
)
from core.storage.files import profile_errors

_TIME_TOO_NEW = "time-too-new"
"""The kernel's word for a block whose time is more than two hours ahead of this computer's clock."""


class ChainState:
    """For one thread at a time. `folder` None keeps nothing beyond `close`."""

    def __init__(self, folder: Path | None) -> None:
        """Raises ChainUnavailable, KernelMissing, ProfileUnusable."""
        self.tree = BlockTree()
        self._folder = folder
        self._coins = Coins()
        self._waiting: list[Transaction] = []
        """What the next block takes in; valid on the tip, in this order."""
        self._extra = itertools.count(random.getrandbits(48))
        """Tells blocks of one height apart, those of an earlier start included."""
        self._parsed: tuple[bytes, list[Transaction]] = b"", []
        """The block that was read last, by its hash: who asks for one of its transactions asks for others."""
        self._file: BlockFile | None = None
        kernel_folder: Path | None = None
        if folder is not None:
            with profile_errors(folder):
                folder.mkdir(mode=0o700, exist_ok=True)
            self._file = BlockFile(folder / "blocks")
            kernel_folder = folder / "kernel"
        try:
            with profile_errors(kernel_folder or Path("kernel")):
                self._kernel = Kernel(kernel_folder)
        except RuntimeError as error:
            raise ChainUnavailable(reason=f"Bitcoin Core's kernel does not start: {error}") from error

    def load(self, blocks: int) -> bool:
        """Take in that many blocks of the file; whether there may be more. Raises ChainDamaged, ProfileUnusable."""
        if self._file is None:
            return False
        found = self._file.read(blocks, height=self.tree.tip.height + 1)
        for raw in found:
            reason = self._kernel.submit(raw)
            if reason is not None:
                raise self._damaged(self.tree.tip.height + 1, reason)
            self._take_in(raw)
        self._waiting.clear()
        return bool(found)

    def mine(self, blocks: int, *, script: bytes, parent: Block, time: int) -> tuple[Block, list[Event]]:
        """Add blocks on `parent`; gives the last and what is to be told. Raises ChainUnavailable, ProfileUnusable.

        What was broadcast is taken in by the first when that is the next one of the best chain.
        """
        waiting = self._waiting if parent is self.tree.tip else []
        raws: list[bytes] = []
        last = parent
        for number in range(blocks):
            raws.append(self._make(last, waiting if number == 0 else [], script, time))
            last = Block.on(last, raws[-1][:HEADER_BYTES])
        reason = self._prove(raws, parent)
        if reason is not None:
            raise ChainUnavailable(reason=f"the next block was refused: {reason}")
        if self._file is not None:
            self._file.append(raws)
        events = [event for raw in raws for event in self._take_in(raw)]
        if any(isinstance(event, ChainReorganised) for event in events):
            self._waiting = self._still_valid(time)
        return self.tree.get(last.hash), events

    def broadcast(self, raw: bytes, time: int) -> bytes:
        """The next block takes it in; gives its txid. Raises TransactionRefused with the kernel's reason."""
        transaction = parse_transaction(raw)
        if all(waiting.txid != transaction.txid for waiting in self._waiting):
            reason = self._try([*self._waiting, transaction], time)
            if reason is not None:
                raise TransactionRefused(reason)
            self._waiting.append(transaction)
        return transaction.txid

    def pay(self, script: bytes, amount_sat: int, time: int) -> bytes:
        """Broadcast a payment from what this chain mined to nobody; gives its txid. Raises FaucetEmpty."""
        taken: list[tuple[bytes, bytes]] = []
        sum_sat = 0
        for outpoint, coin in self._spendable():
            taken.append((outpoint, b""))
            sum_sat += coin.output.amount_sat
            if sum_sat >= amount_sat:
                break
        else:
            raise FaucetEmpty(asked_sat=amount_sat, spendable_sat=sum_sat)
        outputs = [Output(amount_sat, script)]
        if sum_sat > amount_sat:
            outputs.append(Output(sum_sat - amount_sat, ANYONE_CAN_SPEND))
        return self.broadcast(serialise(taken, outputs), time)

    def transaction_at(self, height: int, index: int) -> bytes | None:
        """None when there is none."""
        if not 0 <= height <= self.tree.tip.height:
            return None
        transactions = self._transactions(self.tree.at(height))
        return transactions[index].raw if 0 <= index < len(transactions) else None

    def spent_at(self, height: int) -> frozenset[bytes] | None:
        """The outpoints that the block spends; None when there is none."""
        if not 0 <= height <= self.tree.tip.height:
            return None
        transactions = self._transactions(self.tree.at(height))[1:]
        return frozenset(outpoint for transaction in transactions for outpoint in transaction.spends)

    def coin(self, outpoint: bytes) -> Coin | None:
        """The unspent output at `outpoint`, 36 bytes."""
        return self._coins.get(outpoint)

    def close(self) -> None:
        self._waiting.clear()
        self._kernel.close()

    def _spendable(self) -> list[tuple[bytes, Coin]]:
        spent = {outpoint for transaction in self._waiting for outpoint in transaction.spends}
        ripe = self.tree.tip.height + 1 - COINBASE_MATURITY_BLOCKS
        return [
            (outpoint, coin)
            for outpoint, coin in self._coins.paying(ANYONE_CAN_SPEND)
            if outpoint not in spent and coin.output.amount_sat > 0 and (not coin.coinbase or coin.height <= ripe)
        ]

    def _make(self, parent: Block, transactions: list[Transaction], script: bytes, time: int) -> bytes:
        return make_block(parent, transactions, script, extra=next(self._extra), time=time)

    def _try(self, transactions: list[Transaction], time: int) -> str | None:
        """Why no block on the tip can hold `transactions`; None when one can."""
        return self._prove([self._make(self.tree.tip, transactions, ANYONE_CAN_SPEND, time)], self.tree.tip)

    def _still_valid(self, time: int) -> list[Transaction]:
        kept: list[Transaction] = []
        for transaction in self._waiting:
            if self._try([*kept, transaction], time) is None:
                kept.append(transaction)
        return kept

    def _prove(self, raws: list[bytes], parent: Block) -> str | None:
        """Have the kernel check these blocks, each on the one before, in full; the reason when it refuses one."""
        last = parent
        hashes: list[bytes] = []
        for raw in raws:
            reason = self._kernel.submit(raw)
            if reason is not None:
                return reason
            last = Block.on(last, raw[:HEADER_BYTES])
            hashes.append(last.hash)
        while not self._kernel.holds(hashes[-1]):
            empty = self._make(last, [], ANYONE_CAN_SPEND, 0)
            last = Block.on(last, empty[:HEADER_BYTES])
            reason = self._kernel.submit(empty)
            refusals = [refusal for refusal in map(self._kernel.refusal, hashes) if refusal is not None]
            if refusals or reason is not None:
                return refusals[0] if refusals else reason
        return None

    def _take_in(self, raw: bytes) -> list[Event]:
        """A block that the kernel has accepted; gives what is to be told."""
        old = self.tree.tip
        try:
            block = self.tree.add(raw[:HEADER_BYTES])
        except HeaderRefused as error:
            raise self._damaged(old.height + 1, str(error)) from error
        if self.tree.tip is not block:
            return []
        self._check_followed(block)
        fork = self.tree.fork_height(old)
        self._go_back(old, fork)
        for height in range(fork + 1, block.height + 1):
            self._connect(self.tree.at(height))
        events: list[Event] = [TipChanged(as_tip(block))]
        return [ChainReorganised(fork, as_tip(old)), *events] if fork < old.height else events

    def _check_followed(self, tip: Block) -> None:
        """Whether the kernel too has made `tip` its best block; one that was read may stand on one that it refuses."""
        if self._kernel.holds(tip.hash):
            return
        lowest = next(at for at in range(1, tip.height + 1) if not self._kernel.holds(self.tree.at(at).hash))
        refusal = self._kernel.refusal(self.tree.at(lowest).hash)
        raise self._damaged(lowest, refusal or "the kernel does not follow it")

    def _go_back(self, block: Block, fork: int) -> None:
        """Undo the blocks above height `fork`; what they held waits again."""
        freed: list[Transaction] = []
        while block.height > fork:
            freed[:0] = self._transactions(block)[1:]
            self._coins.disconnect()
            assert block.previous is not None  # the fork is below
            block = block.previous
        self._waiting[:0] = freed

    def _connect(self, block: Block) -> None:
        transactions = self._transactions(block)
        self._coins.connect(transactions)
        held = {transaction.txid for transaction in transactions}
        self._waiting = [waiting for waiting in self._waiting if waiting.txid not in held]

    def _transactions(self, block: Block) -> list[Transaction]:
        if self._parsed[0] != block.hash:
            self._parsed = block.hash, parse_block_transactions(self._kernel.read(block.hash))
        return self._parsed[1]

    def _damaged(self, height: int, reason: str) -> ChainDamaged | ChainUnavailable:
        if reason.startswith(_TIME_TOO_NEW):
            return ChainUnavailable(
                reason=f"block {height} is of a time that this computer's clock has not reached: is the clock right?"
            )
        assert self._folder is not None  # only what is read from a file can be damaged
        return ChainDamaged(path=self._folder / "blocks", height=height, reason=reason)


def as_tip(block: Block) -> Tip:
    return Tip(block.height, block.hash, block.time)
