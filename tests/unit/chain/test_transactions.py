"""Transaction ids and what is refused."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.chain.headers import GENESIS_MERKLE_ROOT
from core.chain.transactions import TransactionRefused, coinbase, merkle_root, txid

# The coinbase of Bitcoin's genesis block: its id is that block's merkle root.
GENESIS_COINBASE = bytes.fromhex(
    "01000000010000000000000000000000000000000000000000000000000000000000000000ffffffff4d04ffff001d0104455468652054"
    "696d65732030332f4a616e2f32303039204368616e63656c6c6f72206f6e206272696e6b206f66207365636f6e64206261696c6f757420"
    "666f722062616e6b73ffffffff0100f2052a01000000434104678afdb0fe5548271967f1a67130b7105cd6a828e03909a67962e0ea1f61"
    "deb649f6bc3f4cef38c4f35504e51ec112de5c384df7ba0b8d578a4c702b6bf11d5fac00000000"
)


def with_witness(transaction: bytes, witness: bytes) -> bytes:
    return transaction[:4] + b"\x00\x01" + transaction[4:-4] + witness + transaction[-4:]


def test_the_id_of_a_known_transaction() -> None:
    assert txid(GENESIS_COINBASE) == GENESIS_MERKLE_ROOT
    assert merkle_root([GENESIS_MERKLE_ROOT]) == GENESIS_MERKLE_ROOT


def test_a_witness_does_not_change_the_id() -> None:
    assert txid(with_witness(GENESIS_COINBASE, b"\x02\x01a\xfd\x00\x01" + b"b" * 256)) == GENESIS_MERKLE_ROOT


@pytest.mark.parametrize("height", [1, 16, 127, 128, 255, 256, 70_000])
def test_a_coinbase_is_a_transaction_that_commits_to_its_height(height: int) -> None:
    made = coinbase(height, 7)
    script = made[42 : 42 + made[41]]
    assert int.from_bytes(script[1 : 1 + script[0]], "little", signed=True) == height
    assert len({txid(made), txid(coinbase(height + 1, 7)), txid(coinbase(height, 8))}) == 3


@pytest.mark.parametrize("end", range(len(GENESIS_COINBASE)))
def test_a_transaction_that_ends_early_is_refused(end: int) -> None:
    with pytest.raises(TransactionRefused):
        txid(GENESIS_COINBASE[:end])


def test_a_transaction_with_something_behind_it_is_refused() -> None:
    with pytest.raises(TransactionRefused, match="lock time"):
        txid(GENESIS_COINBASE + b"\0")


@given(st.binary(max_size=200))
def test_any_bytes_have_an_id_or_are_refused(data: bytes) -> None:
    with contextlib.suppress(TransactionRefused):
        assert len(txid(data)) == 32


def test_the_merkle_root_pairs_an_odd_last_one_with_itself() -> None:
    a, b, c = (bytes([number]) * 32 for number in range(3))
    assert merkle_root([a, b, c]) == merkle_root([a, b, c, c])
    assert merkle_root([a, b, c]) != merkle_root([a, b])
