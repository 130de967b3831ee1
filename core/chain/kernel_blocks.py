"""Regtest blocks with money in them: made here, judged by Bitcoin Core's kernel. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from core.chain.headers import Block, double_sha256, mine_header
from core.chain.transactions import (
    COINBASE_OUTPOINT,
    Output,
    Transaction,
    compact_size,
    merkle_root,
    parse_transaction,
    push_number,
    serialise,
)

ANYONE_CAN_SPEND = b"\x51"
"""OP_TRUE: whoever runs the practice chain may spend what it mined, without a key."""
COINBASE_MATURITY_BLOCKS = 100
"""A coinbase output may be spent in a block this far above its own."""
HALVING_BLOCKS = 150
_FIRST_SUBSIDY_SAT = 50 * 100_000_000
_WITNESS_RESERVED = bytes(32)
_COMMITMENT_SCRIPT = b"\x6a\x24\xaa\x21\xa9\xed"


def subsidy_sat(height: int) -> int:
    """What regtest lets a block at `height` make."""
    return _FIRST_SUBSIDY_SAT >> (height // HALVING_BLOCKS)


def make_block(parent: Block, transactions: Sequence[Transaction], script: bytes, *, extra: int, time: int) -> bytes:
    """A serialised block on `parent` whose coinbase pays the subsidy to `script` and leaves the fees unclaimed.

    `extra` tells blocks of one height apart; `time`, in seconds since the epoch, is moved up to what the rules ask for.
    """
    reward = _coinbase(parent.height + 1, extra, script, transactions)
    root = merkle_root([reward.txid, *(transaction.txid for transaction in transactions)])
    body = b"".join(transaction.raw for transaction in (reward, *transactions))
    return mine_header(parent, root, time) + compact_size(1 + len(transactions)) + body


def _coinbase(height: int, extra: int, script: bytes, transactions: Sequence[Transaction]) -> Transaction:
    """Commits to its height (BIP 34) and to the witnesses (BIP 141)."""
    witness_root = merkle_root([bytes(32), *(transaction.wtxid for transaction in transactions)])
    commitment = double_sha256(witness_root + _WITNESS_RESERVED)
    outputs = [Output(subsidy_sat(height), script), Output(0, _COMMITMENT_SCRIPT + commitment)]
    unlock = _push_height(height) + push_number(extra)
    witness = b"\x01\x20" + _WITNESS_RESERVED
    return parse_transaction(serialise([(COINBASE_OUTPOINT, unlock)], outputs, witness=witness))


def _push_height(height: int) -> bytes:
    """BIP 34 wants the shortest form, which has opcodes of its own for 1 to 16."""
    return bytes([0x50 + height]) if height <= 16 else push_number(height)
