"""BOLT 1: which `init` of a peer we go on with."""

from __future__ import annotations

import ipaddress

from core.bolt.address import Address, AddressKind
from core.bolt.features import feature_name, missing_dependency, unacceptable_bit
from core.bolt.messages import Init
from core.bolt.networks import Network
from core.bolt.wire import WireError
from core.peers.reasons import CloseCode, CloseReason, closed_by_us

MAX_FEATURES_BYTES = 8192
"""Bits to 65,535: LND has no higher ones. Each connection keeps its peer's, and `listpeers` shows them all."""


class Unacceptable(Exception):
    """The connection has to be closed."""

    def __init__(self, code: CloseCode, detail: str, warning: str) -> None:
        super().__init__(warning)
        self.reason: CloseReason = closed_by_us(code, detail)
        self.warning = warning
        """What to tell the peer; CLN's words where it has some."""


def check_init(message: bytes, *, ours: bytes, network: Network) -> Init:
    """The decoded init, or Unacceptable. `ours` are the features we offer."""
    try:
        init = Init.decode(message)
    except WireError as error:
        raise Unacceptable(CloseCode.MALFORMED, f"init: {error}", f"Invalid init: {error}") from None
    # An absent list means any chain; a list that is there and empty has none in common.
    if init.networks is not None and network.chain_hash not in init.networks:
        raise Unacceptable(CloseCode.NO_COMMON_NETWORK, "", "No common network")
    theirs = init.all_features
    if len(theirs) > MAX_FEATURES_BYTES:
        words = f"features of {len(theirs)} bytes"
        raise Unacceptable(CloseCode.MALFORMED, f"init: {words}", f"Invalid init: {words}")
    bit = unacceptable_bit(theirs, ours)
    if bit is not None:
        words = f"{bit} ({feature_name(bit)})"
        raise Unacceptable(CloseCode.UNSUPPORTED_FEATURE, words, f"Unsupported feature {words}")
    missing = missing_dependency(theirs)
    if missing is not None:
        words = "feature {} requires feature {}".format(*missing)
        raise Unacceptable(CloseCode.FEATURE_DEPENDENCY, words, words.capitalize())
    return init


def reachable_from_everywhere(address: Address) -> bool:
    """Only such a `remote_addr` is worth keeping (CLN): anything else says nothing of how the world sees us."""
    return address.kind in (AddressKind.IPV4, AddressKind.IPV6) and ipaddress.ip_address(address.host).is_global
