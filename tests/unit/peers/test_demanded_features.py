"""What other nodes demand of any peer, whether or not it wants a channel: all of it is in our `init`, or is assumed."""

from __future__ import annotations

import pytest

from core.bolt.features import FEATURES, GOSSIP_QUERIES_BITS, LEYDEN_FEATURES, bits, feature_name, unacceptable_bit

DEMANDS = (
    ("LND", (0,), "peer/brontide.go:4947, data loss protection required"),
    ("LDK", (0, 8, 12, 14, 44), "channelmanager.rs:18379 with peer_handler.rs:2142"),
    ("CLN", (), "an empty vector is accepted"),
)
"""Who, the even bits that one of each pair must be set of, and where it is read."""
EACH = [pytest.param(who, bit, id=f"{who} {feature_name(bit)}") for who, demanded, _ in DEMANDS for bit in demanded]
REQUIRED_BY = {
    "CLN": bytes.fromhex("800898880a8a59a1"),
    "LDK": bytes.fromhex("08a0000a0aa2a2"),
}
"""What they set in `init` themselves, as seen on the wire."""


def _pairs(features: bytes) -> set[int]:
    return {bit & ~1 for bit in bits(features)}


@pytest.mark.parametrize(("who", "bit"), EACH)
def test_what_is_demanded_of_any_peer_is_offered(who: str, bit: int) -> None:
    assert bit in _pairs(LEYDEN_FEATURES), f"{who} closes on a peer without {feature_name(bit)}"


@pytest.mark.parametrize(("who", "bit"), EACH)
def test_each_demand_is_one_that_bolt_9_assumes_of_everybody(who: str, bit: int) -> None:
    assert FEATURES[bit].assumed, f"{who} demands {feature_name(bit)}, which BOLT 9 assumes of nobody"


@pytest.mark.parametrize("who", REQUIRED_BY)
def test_what_they_set_themselves_as_required_does_not_make_us_close(who: str) -> None:
    theirs = REQUIRED_BY[who]
    assert unacceptable_bit(theirs, LEYDEN_FEATURES) is None
    for bit in bits(theirs):
        if bit % 2 == 0:
            assert bit in _pairs(LEYDEN_FEATURES) or FEATURES[bit].assumed


def test_we_demand_nothing_and_offer_no_more_than_is_asked_for() -> None:
    """Odd bits alone: nobody closes on us for not knowing one. Anchors are what Electrum asks for."""
    offered = bits(LEYDEN_FEATURES)
    assert all(bit % 2 for bit in offered)
    demanded = {bit for _, some, _ in DEMANDS for bit in some}
    assert {bit & ~1 for bit in offered} - demanded == {22}
    assert set(offered).isdisjoint(GOSSIP_QUERIES_BITS)
