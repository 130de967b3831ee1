"""What Electrum servers are named by and what they answer, read and bounded. Pure.

The protocol: https://electrum-protocol.readthedocs.io, versions 1.4 to 1.6. Readers raise BadAnswer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from core.chain.headers import HEADER_BYTES

VERSIONS = ("1.4", "1.6")
"""The oldest and the newest protocol that we speak."""
LARGEST_CHUNK = 2016
"""Headers of one answer: what every server gives."""
SAT_PER_BTC = 100_000_000
HIGHEST_FEE_SAT_PER_KVB = 10_000_000
"""10,000 sat per vbyte; no estimate is honest above it."""
_HIGHEST_BLOCK = 1 << 31
_HASH_BYTES = 32
_DEEPEST_BRANCH = 32


class BadAnswer(ValueError):
    """An answer is not what the protocol says; the text says how."""


@dataclass(frozen=True, slots=True)
class ElectrumServer:
    """One server of the user's list."""

    host: str
    port: int
    tls: bool

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def parse_server(text: str) -> ElectrumServer:
    """`HOST:PORT:s` with TLS or `HOST:PORT:t` without, as Electrum writes them; ValueError with the reason."""
    place, _, kind = text.rpartition(":")
    host, _, digits = place.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError("an IPv6 address stands in brackets")
    if kind not in ("s", "t") or not host:
        raise ValueError("is not HOST:PORT:s (with TLS) or HOST:PORT:t")
    if any(character.isspace() or not character.isprintable() for character in host):
        raise ValueError("its host has characters that no host has")
    if not (digits.isascii() and digits.isdigit() and 0 < int(digits[:6]) < 65536 and len(digits) < 6):
        raise ValueError("its port is not 1 to 65535")
    return ElectrumServer(host, int(digits), kind == "s")


def parse_place(text: str) -> ElectrumServer:
    """As `parse_server`; `HOST:PORT` alone, as errors name a server, is one with TLS."""
    return parse_server(text if text.endswith((":s", ":t")) else f"{text}:s")


@dataclass(frozen=True, slots=True)
class TipClaim:
    """What a server says is its best block; nothing of it is checked."""

    height: int
    header: bytes


def read_tip(answer: Any) -> TipClaim:
    """Of `blockchain.headers.subscribe`, answer or notification."""
    if not isinstance(answer, dict):
        raise BadAnswer("its tip is no object")
    height = answer.get("height")
    if type(height) is not int or not 0 <= height < _HIGHEST_BLOCK:
        raise BadAnswer("its tip has no height")
    header = _read_hex(answer.get("hex"), "its tip's header")
    if len(header) != HEADER_BYTES:
        raise BadAnswer(f"its tip's header has {len(header)} bytes")
    return TipClaim(height, header)


def read_headers(answer: Any, at_most: int) -> list[bytes]:
    """Of `blockchain.block.headers`: one hex text up to version 1.4.3, a list from 1.6 on."""
    if not isinstance(answer, dict):
        raise BadAnswer("its headers are no object")
    pieces = answer.get("headers")
    if pieces is None:
        whole = _read_hex(answer.get("hex"), "its headers")
    elif isinstance(pieces, list) and len(pieces) <= at_most:
        whole = b"".join(_read_hex(piece, "a header") for piece in pieces)
    else:
        raise BadAnswer("its headers are no list, or more than asked for")
    if len(whole) % HEADER_BYTES or len(whole) > at_most * HEADER_BYTES:
        raise BadAnswer(f"its headers have {len(whole)} bytes")
    return [whole[start : start + HEADER_BYTES] for start in range(0, len(whole), HEADER_BYTES)]


def read_fee(answer: Any) -> int | None:
    """Of `blockchain.estimatefee`: sat per 1000 vbytes, None where the server has no estimate (-1)."""
    if isinstance(answer, bool) or not isinstance(answer, int | float):
        raise BadAnswer("its fee estimate is no number")
    if answer < 0:
        return None
    if not answer * SAT_PER_BTC <= HIGHEST_FEE_SAT_PER_KVB:
        raise BadAnswer(f"its fee estimate is {answer} BTC per kvB")
    return round(answer * SAT_PER_BTC)


def read_hash(answer: Any, what: str) -> bytes:
    """A hash as explorers print it, into wire order."""
    found = _read_hex(answer, what)
    if len(found) != _HASH_BYTES:
        raise BadAnswer(f"{what} has {len(found)} bytes")
    return found[::-1]


def read_position(answer: Any) -> tuple[bytes, list[bytes]]:
    """Of `blockchain.transaction.id_from_pos` with its branch: txid and siblings, in wire order."""
    if not isinstance(answer, dict):
        raise BadAnswer("its transaction's position is no object")
    branch = answer.get("merkle")
    if not isinstance(branch, list) or len(branch) > _DEEPEST_BRANCH:
        raise BadAnswer("its transaction's position has no branch")
    txid = read_hash(answer.get("tx_hash"), "its transaction id")
    return txid, [read_hash(sibling, "a hash of its branch") for sibling in branch]


def read_transaction(answer: Any) -> bytes:
    """Of `blockchain.transaction.get`."""
    return _read_hex(answer, "its transaction")


def read_unspent(answer: Any, txid: bytes, index: int) -> tuple[int, int] | None:
    """Of `blockchain.scripthash.listunspent`: height and satoshi of this output where it is listed in a block."""
    if not isinstance(answer, list):
        raise BadAnswer("its unspent outputs are no list")
    wanted = txid[::-1].hex()
    for entry in answer:
        if not isinstance(entry, dict):
            raise BadAnswer("an unspent output is no object")
        if entry.get("tx_hash") == wanted and entry.get("tx_pos") == index:
            height, value = entry.get("height"), entry.get("value")
            if type(height) is not int or type(value) is not int:
                raise BadAnswer("an unspent output has no height or no value")
            return (height, value) if height > 0 else None
    return None


def _read_hex(answer: Any, what: str) -> bytes:
    if not isinstance(answer, str):
        raise BadAnswer(f"{what} is no text")
    try:
        return bytes.fromhex(answer)
    except ValueError:
        raise BadAnswer(f"{what} is not hexadecimal") from None
