"""Bitcoin transactions as far as the embedded chain reads and makes them. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from core.chain.headers import double_sha256

_MAX_TRANSACTION_BYTES = 4_000_000


class TransactionRefused(ValueError):
    """The bytes are no transaction, or the chain's rules refuse it; the text says where or by which rule."""


@dataclass(frozen=True, slots=True)
class Output:
    """What one output gives to whom."""

    amount_sat: int
    script_pubkey: bytes


@dataclass(frozen=True)
class Transaction:
    """One transaction; `raw` is how it travels, with its witness."""

    raw: bytes
    stripped: bytes
    """The same without its witness: what the txid is of."""
    spends: tuple[bytes, ...]
    """The outpoints of its inputs: txid in wire order and index, 36 bytes each."""
    outputs: tuple[Output, ...]

    @cached_property
    def txid(self) -> bytes:
        """32 bytes in wire order."""
        return double_sha256(self.stripped)

    @cached_property
    def wtxid(self) -> bytes:
        """Hash of the whole, 32 bytes in wire order."""
        return double_sha256(self.raw)

    def outpoint(self, index: int) -> bytes:
        """Of its output at `index`."""
        return self.txid + index.to_bytes(4, "little")


def txid(transaction: bytes) -> bytes:
    """Hash of the transaction without its witness, 32 bytes in wire order. Raises TransactionRefused."""
    return parse_transaction(transaction).txid


def parse_transaction(data: bytes) -> Transaction:
    """A transaction and nothing behind it. Raises TransactionRefused."""
    if len(data) > _MAX_TRANSACTION_BYTES:
        raise TransactionRefused("longer than a block may be")
    transaction, end = _parse_at(data, 0)
    if end != len(data):
        raise TransactionRefused("does not end where its lock time does")
    return transaction


def parse_block_transactions(block: bytes) -> list[Transaction]:
    """What a serialised block holds, its coinbase first. Raises TransactionRefused."""
    count, offset = _compact_size(block, 80)
    transactions: list[Transaction] = []
    for _ in range(count):
        transaction, offset = _parse_at(block, offset)
        transactions.append(transaction)
    return transactions


def serialise(spends: list[tuple[bytes, bytes]], outputs: list[Output], *, witness: bytes = b"") -> bytes:
    """A transaction of version 2 without a lock time.

    `spends` are outpoints with the script that unlocks each; `witness` stands for all inputs as it travels, empty for
    a transaction without any.
    """
    body = compact_size(len(spends))
    for outpoint, script in spends:
        body += outpoint + compact_size(len(script)) + script + b"\xff" * 4
    body += compact_size(len(outputs))
    for output in outputs:
        body += output.amount_sat.to_bytes(8, "little") + compact_size(len(output.script_pubkey)) + output.script_pubkey
    return b"\x02\x00\x00\x00" + (b"\x00\x01" if witness else b"") + body + witness + bytes(4)


def coinbase(height: int, extra: int) -> bytes:
    """A coinbase that commits to its height (BIP 34) and pays nobody; `extra` tells blocks of one height apart."""
    return serialise([(COINBASE_OUTPOINT, push_number(height) + push_number(extra))], [Output(0, b"\x6a")])


COINBASE_OUTPOINT = bytes(32) + b"\xff" * 4


def push_number(number: int) -> bytes:
    """A script that pushes `number`, not negative, as the script language writes numbers, never by an opcode."""
    pushed = number.to_bytes(number.bit_length() // 8 + 1, "little")
    return bytes([len(pushed)]) + pushed


def compact_size(number: int) -> bytes:
    """How a count travels."""
    if number < 0xFD:
        return bytes([number])
    if number <= 0xFFFF:
        return b"\xfd" + number.to_bytes(2, "little")
    return b"\xfe" + number.to_bytes(4, "little")


def merkle_root(txids: list[bytes]) -> bytes:
    """Of at least one txid; an odd last one is paired with itself."""
    level = txids
    while len(level) > 1:
        if len(level) % 2:
            level = [*level, level[-1]]
        level = [double_sha256(left + right) for left, right in zip(level[::2], level[1::2], strict=True)]
    return level[0]


def _parse_at(data: bytes, start: int) -> tuple[Transaction, int]:
    """The transaction at `start` and the offset behind it."""
    segwit = data[start + 4 : start + 6] == b"\x00\x01"
    body = start + (6 if segwit else 4)
    spends, end = _inputs(data, body)
    outputs, end = _outputs(data, end)
    witness_end = _skip_witness(data, end, len(spends)) if segwit else end
    if witness_end + 4 > len(data):
        raise TransactionRefused("does not end where its lock time does")
    lock_time = data[witness_end : witness_end + 4]
    raw = data[start : witness_end + 4]
    stripped = data[start : start + 4] + data[body:end] + lock_time
    return Transaction(raw, stripped, spends, outputs), witness_end + 4


def _compact_size(data: bytes, offset: int) -> tuple[int, int]:
    """The number at `offset` and the offset behind it."""
    first = data[offset : offset + 1]
    width = {b"\xfd": 2, b"\xfe": 4, b"\xff": 8}.get(first, 0)
    end = offset + 1 + width
    if end > len(data):
        raise TransactionRefused("ends within a count")
    return (int.from_bytes(data[offset + 1 : end], "little") if width else first[0]), end


def _skip(data: bytes, offset: int, length: int) -> int:
    if offset + length > len(data):
        raise TransactionRefused("ends within a field")
    return offset + length


def _skip_bytes(data: bytes, offset: int) -> int:
    length, offset = _compact_size(data, offset)
    return _skip(data, offset, length)


def _inputs(data: bytes, offset: int) -> tuple[tuple[bytes, ...], int]:
    count, offset = _compact_size(data, offset)
    if count == 0:
        raise TransactionRefused("has no inputs")
    spends: list[bytes] = []
    for _ in range(count):
        script = _skip(data, offset, 36)
        spends.append(data[offset:script])
        offset = _skip(data, _skip_bytes(data, script), 4)
    return tuple(spends), offset


def _outputs(data: bytes, offset: int) -> tuple[tuple[Output, ...], int]:
    count, offset = _compact_size(data, offset)
    if count == 0:
        raise TransactionRefused("has no outputs")
    outputs: list[Output] = []
    for _ in range(count):
        length_at = _skip(data, offset, 8)
        length, script = _compact_size(data, length_at)
        end = _skip(data, script, length)
        outputs.append(Output(int.from_bytes(data[offset:length_at], "little"), data[script:end]))
        offset = end
    return tuple(outputs), offset


def _skip_witness(data: bytes, offset: int, inputs: int) -> int:
    for _ in range(inputs):
        items, offset = _compact_size(data, offset)
        for _ in range(items):
            offset = _skip_bytes(data, offset)
    return offset
