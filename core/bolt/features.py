"""Feature bits by name (BOLT 9 and what implementations use beside it), and what makes a peer's set unacceptable."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Feature(NamedTuple):
    """One pair of bits; the even one is required, the odd one optional."""

    bit: int
    """The pair's first bit as its specification names it (even, but for pairs defined one-sided)."""
    name: str
    assumed: bool = False
    """BOLT 9 ASSUMED: everyone has it, so nobody may be refused for requiring it."""
    needs: tuple[str, ...] = ()
    contexts: str = ""
    """BOLT 9 letters: I init, N node announcement, C channel announcement, 9 invoice, T channel type."""


_LND_OVERLAY_BIT = 2025
"""LND pairs its overlay bits across the even boundary: 2025 optional, 2026 required."""

_ROWS = (
    Feature(0, "option_data_loss_protect", assumed=True, needs=(), contexts=""),
    Feature(2, "initial_routing_sync", assumed=False, needs=(), contexts=""),
    Feature(4, "option_upfront_shutdown_script", assumed=False, needs=(), contexts="IN"),
    Feature(6, "gossip_queries", assumed=False, needs=(), contexts=""),
    Feature(8, "var_onion_optin", assumed=True, needs=(), contexts=""),
    Feature(10, "gossip_queries_ex", assumed=False, needs=(), contexts="IN"),
    Feature(12, "option_static_remotekey", assumed=True, needs=(), contexts=""),
    Feature(14, "payment_secret", assumed=True, needs=(), contexts=""),
    Feature(16, "basic_mpp", assumed=False, needs=("payment_secret",), contexts="IN9"),
    Feature(18, "option_support_large_channel", assumed=False, needs=(), contexts="IN"),
    Feature(20, "option_anchor_outputs", assumed=False, needs=(), contexts=""),
    Feature(22, "option_anchors", assumed=False, needs=(), contexts="INT"),
    Feature(24, "option_route_blinding", assumed=False, needs=(), contexts="IN9"),
    Feature(26, "option_shutdown_anysegwit", assumed=False, needs=(), contexts="IN"),
    Feature(28, "option_dual_fund", assumed=False, needs=(), contexts="IN"),
    Feature(30, "amp (LND) / taproot (LDK names 31 'Taproot')", assumed=False, needs=(), contexts=""),
    Feature(34, "option_quiesce", assumed=False, needs=(), contexts="IN"),
    Feature(36, "option_attribution_data", assumed=False, needs=(), contexts="IN9"),
    Feature(38, "option_onion_messages", assumed=False, needs=(), contexts="IN"),
    Feature(40, "zero-fee commitments (draft; LDK 41 + staging 141)", assumed=False, needs=(), contexts=""),
    Feature(42, "option_provide_storage", assumed=False, needs=(), contexts="IN"),
    Feature(44, "option_channel_type", assumed=True, needs=(), contexts=""),
    Feature(46, "option_scid_alias", assumed=False, needs=(), contexts="INT"),
    Feature(48, "option_payment_metadata", assumed=False, needs=(), contexts="9"),
    Feature(50, "option_zeroconf", assumed=False, needs=("option_scid_alias",), contexts="INT"),
    Feature(52, "htlc hold (draft; LDK staging 153)", assumed=False, needs=(), contexts=""),
    Feature(54, "keysend", assumed=False, needs=("var_onion_optin",), contexts="N"),
    Feature(56, "trampoline_routing", assumed=False, needs=(), contexts=""),
    Feature(60, "option_simple_close", assumed=False, needs=("option_shutdown_anysegwit",), contexts="IN"),
    Feature(62, "option_splice", assumed=False, needs=(), contexts="IN"),
    Feature(80, "simple taproot channels final", assumed=False, needs=(), contexts=""),
    Feature(104, "shutdown_wrong_funding (experimental)", assumed=False, needs=(), contexts="IN"),
    Feature(154, "Phoenix custom splices (Eclair)", assumed=False, needs=(), contexts=""),
    Feature(160, "rbf coop close staging", assumed=False, needs=(), contexts=""),
    Feature(162, "option_experimental_splice", assumed=False, needs=(), contexts=""),
    Feature(180, "simple taproot staging", assumed=False, needs=(), contexts=""),
    Feature(256, "hosted_channels", assumed=False, needs=(), contexts="IN"),
    Feature(258, "dns_resolver", assumed=False, needs=(), contexts="N"),
    Feature(260, "htlc_endorsement (LND: ExperimentalAccountability)", assumed=False, needs=(), contexts="N"),
    Feature(262, "bolt11_blinded_path", assumed=False, needs=("option_route_blinding",), contexts="I(nvoice)"),
    Feature(729, "option_supports_lsps (LSPs only; clients MUST NOT set)", assumed=False, needs=(), contexts="IN"),
    Feature(2022, "script enforced lease", assumed=False, needs=(), contexts=""),
    Feature(2025, "simple taproot overlay channels", assumed=False, needs=(), contexts=""),
)


def _bits_of(row: Feature) -> tuple[int, int]:
    return (row.bit, row.bit + 1) if row.bit == _LND_OVERLAY_BIT else (row.bit & ~1, row.bit | 1)


FEATURES: dict[int, Feature] = {row.bit & ~1: row for row in _ROWS}
"""By the even bit of the pair."""

_NAMES = {bit: row.name for row in _ROWS for bit in _bits_of(row)}

_KNOWN = sum(1 << bit for bit in _NAMES)

_PAIR_OF_NAME = {feature.name: pair for pair, feature in FEATURES.items()}

LEYDEN_FEATURES = bytes.fromhex("20000080a202")
"""Bits 1, 9, 13, 15, 23 and 45: what LDK, LND, CLN and Electrum demand of any peer, all optional."""

GOSSIP_QUERIES_BITS = (7, 11)
"""That there is gossip to ask for, and that queries may say what of it is wanted."""

_EVEN_BITS = b"\x55"
"""Of each byte; a vector's bytes all begin at an even bit."""


def feature_name(bit: int) -> str:
    """The pair's name, or `unknown feature`."""
    return _NAMES.get(bit, "unknown feature")


def bits(features: bytes) -> list[int]:
    """Every bit that is set, ascending; bit 0 is the lowest of the last byte (BOLT 9)."""
    # Byte by byte: shifting the whole number for each bit would let one `init` of 64 KB hold the loop for seconds.
    return [
        8 * place + bit for place, byte in enumerate(reversed(features)) if byte for bit in range(8) if byte >> bit & 1
    ]


def from_bits(set_bits: Iterable[int]) -> bytes:
    """The shortest vector with these bits."""
    number = 0
    for bit in set_bits:
        number |= 1 << bit
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def combine(first: bytes, second: bytes) -> bytes:
    """Both vectors OR-ed, as long as the longer (BOLT 1: the two maps of `init`)."""
    length = max(len(first), len(second))
    return (int.from_bytes(first, "big") | int.from_bytes(second, "big")).to_bytes(length, "big")


def unacceptable_bit(theirs: bytes, ours: bytes) -> int | None:
    """The first even bit of theirs that we neither offer (either bit of the pair) nor BOLT 9 marks ASSUMED.

    BOLT 1: upon receiving unknown even feature bits the receiver MUST close the connection.
    """
    assumed = {pair for pair, feature in FEATURES.items() if feature.assumed}
    accepted = sum(1 << pair for pair in assumed | {bit & ~1 for bit in bits(ours)})
    even_bits = int.from_bytes(_EVEN_BITS * len(theirs), "big")
    refused = int.from_bytes(theirs, "big") & even_bits & ~accepted
    return (refused & -refused).bit_length() - 1 if refused else None


def requires_unknown(theirs: bytes) -> bool:
    """Whether an even bit is set that nothing known has: BOLT 7 forbids to route through such a channel or node."""
    return bool(int.from_bytes(theirs, "big") & int.from_bytes(_EVEN_BITS * len(theirs), "big") & ~_KNOWN)


def missing_dependency(theirs: bytes) -> tuple[int, int] | None:
    """A pair that is set without one it needs, as their even bits: (feature, what it needs).

    BOLT 1: a receiver MUST close when the vector does not set all known transitive dependencies. What is ASSUMED
    counts as set.
    """
    number = int.from_bytes(theirs, "big")
    pairs = {pair for pair in FEATURES if number >> pair & 3}
    for pair in sorted(pairs):
        for name in FEATURES[pair].needs:
            needed = _PAIR_OF_NAME[name]
            if needed not in pairs and not FEATURES[needed].assumed:
                return pair, needed
    return None
