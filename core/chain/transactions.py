"""As much of a Bitcoin transaction as the embedded chain needs: its id, and a coinbase to mine with. Pure."""

from __future__ import annotations

from core.chain.headers import double_sha256

_MAX_TRANSACTION_BYTES = 4_000_000


class TransactionRefused(ValueError):
    """The bytes are no transaction; the text says where they stop being one."""


def txid(transaction: bytes) -> bytes:
    """Hash of the transaction without its witness, 32 bytes in wire order. Raises TransactionRefused."""
    if len(transaction) > _MAX_TRANSACTION_BYTES:
        raise TransactionRefused("longer than a block may be")
    segwit = transaction[4:6] == b"\x00\x01"
    start = 6 if segwit else 4
    end, inputs = _skip_inputs(transaction, start)
    end = _skip_outputs(transaction, end)
    witness_end = _skip_witness(transaction, end, inputs) if segwit else end
    if witness_end + 4 != len(transaction):
        raise TransactionRefused("does not end where its lock time does")
    return double_sha256(transaction[:4] + transaction[start:end] + transaction[-4:])


def coinbase(height: int, extra: int) -> bytes:
    """A coinbase that commits to its height (BIP 34) and pays nobody; `extra` tells blocks of one height apart."""
    script = _push_number(height) + _push_number(extra)
    outpoint = bytes(32) + b"\xff" * 4
    spend = b"\x01" + outpoint + bytes([len(script)]) + script + b"\xff" * 4
    output = b"\x01" + bytes(8) + b"\x01\x6a"  # one output of 0 satoshi, OP_RETURN
    return (2).to_bytes(4, "little") + spend + output + bytes(4)


def _push_number(number: int) -> bytes:
    pushed = number.to_bytes(number.bit_length() // 8 + 1, "little")
    return bytes([len(pushed)]) + pushed


def merkle_root(txids: list[bytes]) -> bytes:
    """Of at least one txid; an odd last one is paired with itself."""
    level = txids
    while len(level) > 1:
        if len(level) % 2:
            level = [*level, level[-1]]
        level = [double_sha256(left + right) for left, right in zip(level[::2], level[1::2], strict=True)]
    return level[0]


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


def _skip_inputs(data: bytes, offset: int) -> tuple[int, int]:
    count, offset = _compact_size(data, offset)
    if count == 0:
        raise TransactionRefused("has no inputs")
    for _ in range(count):
        offset = _skip_bytes(data, _skip(data, offset, 36))
        offset = _skip(data, offset, 4)
    return offset, count


def _skip_outputs(data: bytes, offset: int) -> int:
    count, offset = _compact_size(data, offset)
    if count == 0:
        raise TransactionRefused("has no outputs")
    for _ in range(count):
        offset = _skip_bytes(data, _skip(data, offset, 8))
    return offset


def _skip_witness(data: bytes, offset: int, inputs: int) -> int:
    for _ in range(inputs):
        items, offset = _compact_size(data, offset)
        for _ in range(items):
            offset = _skip_bytes(data, offset)
    return offset
