"""The kept secret: its text, its silence, and the key that comes of it."""

from __future__ import annotations

import copy
import hashlib
import hmac
import json
import pickle
from contextlib import suppress

import coincurve
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.wallet.derive import derive_node_key, new_mnemonic
from core.wallet.secret import MAX_TEXT_BYTES, Secret, SecretKind, SecretTextError
from tests.unit.wallet.parts import ABANDON, BITCOIN, NOW, REGTEST, abandon_secret

HARDENED = 2**31
GROUP_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def bip32(seed: bytes, path: list[int]) -> bytes:
    """BIP 32 once more, from its text: the private key at `path`."""
    node = hmac.digest(b"Bitcoin seed", seed, "sha512")
    for index in path:
        key, chain = node[:32], node[32:]
        head = b"\0" + key if index >= HARDENED else coincurve.PrivateKey(key).public_key.format()
        child = hmac.digest(chain, head + index.to_bytes(4, "big"), "sha512")
        scalar = (int.from_bytes(child[:32], "big") + int.from_bytes(key, "big")) % GROUP_ORDER
        node = scalar.to_bytes(32, "big") + child[32:]
    return node[:32]


def bip39_seed(words: str) -> bytes:
    return hashlib.pbkdf2_hmac("sha512", words.encode(), b"mnemonic", 2048)


def test_the_second_derivation_agrees_with_the_published_vectors() -> None:
    # BIP 32, test vector 1
    seed = bytes.fromhex("000102030405060708090a0b0c0d0e0f")
    assert bip32(seed, [HARDENED]).hex() == "edb2e14f9ee77d26dd93b4ecede8d16ed408ce149b6cd80b0715a2d911a0afea"
    assert bip32(seed, [HARDENED, 1]).hex() == "3c6cb8d0f6a264c91ea8b5030fadaa8e538b020f0a387421a12de9319dc93368"
    # BIP 39, the first words with an empty passphrase
    assert bip39_seed(ABANDON).hex() == (
        "5eb00bbddcf069084889a8ab9155568165f5c453ccb85e70811aaed6f6da5fc1"
        "9a5ac40b389cd370d086206dec8aa6c43daea6690f20ad3d8d48b2d2ce9e38e4"
    )


@pytest.mark.parametrize("network", [BITCOIN, REGTEST], ids=lambda network: network.name)
@pytest.mark.parametrize("words", [12, 24])
def test_the_node_key_is_the_one_at_1017_coin_6_0_0(network: object, words: int) -> None:
    assert network in (BITCOIN, REGTEST)
    coin = 0 if network is BITCOIN else 1
    path = [1017 + HARDENED, coin + HARDENED, 6 + HARDENED, 0, 0]
    for secret in (abandon_secret(), new_mnemonic(words, NOW)):
        expected = coincurve.PrivateKey(bip32(bip39_seed(secret.secret), path)).public_key.format()
        assert derive_node_key(secret, BITCOIN if coin == 0 else REGTEST).node_id == expected


@pytest.mark.parametrize("words", [12, 24])
def test_a_new_mnemonic_has_the_words_asked_for_and_is_never_the_same_twice(words: int) -> None:
    first, second = new_mnemonic(words, NOW), new_mnemonic(words, NOW)
    assert len(first.secret.split()) == len(second.secret.split()) == words
    assert first.secret != second.secret
    assert (first.kind, first.created) == (SecretKind.BIP39, NOW)


def test_no_other_number_of_words_is_made() -> None:
    with pytest.raises(ValueError, match="12 or 24"):
        new_mnemonic(15, NOW)


def test_words_with_a_wrong_checksum_make_no_key_and_are_not_named() -> None:
    wrong = Secret(kind=SecretKind.BIP39, secret="abandon " * 11 + "abandon", created=NOW)
    with pytest.raises(SecretTextError) as caught:
        derive_node_key(wrong, BITCOIN)
    assert "abandon" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


@pytest.mark.parametrize("kind", [SecretKind.CLN, SecretKind.KDF, SecretKind.RAW32])
def test_no_other_kind_is_turned_into_a_node_key(kind: SecretKind) -> None:
    with pytest.raises(ValueError, match=kind.value):
        derive_node_key(Secret(kind=kind, secret=ABANDON, created=NOW), BITCOIN)


def test_the_text_has_the_four_fields_and_comes_back() -> None:
    secret = abandon_secret()
    assert json.loads(secret.to_text()) == {"v": 1, "kind": "bip39", "secret": ABANDON, "created": NOW}
    assert Secret.from_text(secret.to_text()) == secret


def test_the_longest_words_stay_well_below_512_bytes() -> None:
    longest = Secret(kind=SecretKind.BIP39, secret=" ".join(["absolute"] * 24), created=2**53 - 1)
    assert len(longest.to_text().encode()) < 300 < MAX_TEXT_BYTES


def test_a_secret_shows_itself_nowhere() -> None:
    secret = abandon_secret()
    shown = [repr(secret), str(secret), f"{secret}", f"{secret!r:>80}", "%s" % secret, repr([secret]), ascii(secret)]  # noqa: UP031
    assert not [text for text in shown if "abandon" in text or "about" in text]


@pytest.mark.parametrize("leave", [pickle.dumps, copy.copy, copy.deepcopy], ids=["pickle", "copy", "deepcopy"])
def test_a_secret_is_neither_pickled_nor_copied_nor_hashed(leave: object) -> None:
    assert callable(leave)
    with pytest.raises(TypeError):
        leave(abandon_secret())
    with pytest.raises(TypeError):
        hash(abandon_secret())


def text_with(**changes: object) -> str:
    """A good text with fields changed; None leaves one out."""
    fields = {"v": 1, "kind": "bip39", "secret": ABANDON, "created": NOW} | changes
    return json.dumps({name: value for name, value in fields.items() if value is not None})


REFUSED_TEXTS = {
    "empty": "",
    "not json": ABANDON,
    "a list": "[1]",
    "deep": "[" * 500,
    "no kind": text_with(kind=None),
    "one more field": text_with(more=1),
    "newer": text_with(v=2),
    "v is true": text_with(v=True),
    "unknown kind": text_with(kind="abandon"),
    "kind is a list": text_with(kind=["abandon"]),
    "secret is a list": text_with(secret=["abandon"]),
    "eleven words": text_with(secret="abandon " * 10 + "about"),
    "past time": text_with(created=-1),
    "half a second": text_with(created=1.5),
    "nul": text_with(kind="raw32", secret="abandon\0"),
    "too long": text_with(kind="raw32", secret="abandon" * 70),
}


@pytest.mark.parametrize("text", REFUSED_TEXTS.values(), ids=REFUSED_TEXTS.keys())
def test_a_text_that_is_no_secret_is_refused_without_a_trace_of_it(text: str) -> None:
    with pytest.raises(SecretTextError) as caught:
        Secret.from_text(text)
    assert "abandon" not in str(caught.value)
    assert caught.value.__context__ is None


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=200) | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_any_text_is_a_secret_or_a_secret_text_error(text: str) -> None:
    with suppress(SecretTextError):
        assert Secret.from_text(text).kind in SecretKind
