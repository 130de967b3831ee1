"""Why a connection ended: who, which rule, and the words. Every end has one."""

from __future__ import annotations

import errno as errno_module
import os
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from core.base.events import ConnectPhase

By = Literal["us", "them", "network"]


class CloseCode(StrEnum):
    """What ended it; the value is the plain word for it."""

    REQUESTED = "disconnected on request"
    SHUTDOWN = "the node is stopping"
    CANCELLED = "the connect was given up"
    REPLACED = "a newer connection with the same peer took its place"
    DUPLICATE = "the other connection with the same peer was kept"
    BANNED = "it is banned"
    REFUSED = "too many connections that have not said who they are"
    CROWDED_OUT = "its place was needed for a peer of more use"
    UNWANTED = "a plugin did not want this peer"
    HANDSHAKE = "the handshake failed"
    BAD_TAG = "a message could not be decrypted"
    TIMEOUT = "handshake and init took too long"
    INIT_EXPECTED = "something else came where init was due"
    SECOND_INIT = "a second init"
    MALFORMED = "a message was malformed"
    UNKNOWN_EVEN = "an even message type that is unknown here"
    UNSUPPORTED_FEATURE = "a required feature that is not offered here"
    FEATURE_DEPENDENCY = "a feature without one it depends on"
    NO_COMMON_NETWORK = "no chain in common"
    BAD_GOSSIP = "what it told of the network was false"
    PING_UNANSWERED = "a ping was not answered"
    NOT_READING = "what was sent to it is not being read"
    INTERNAL = "a fault of ours"
    PEER_ERROR = "the peer sent an error"
    PEER_WARNING = "the peer sent a warning and closed"
    PEER_CLOSED = "the peer closed the connection"
    NETWORK = "the network failed"


SOURCES: dict[CloseCode, str] = {
    CloseCode.REPLACED: "BOLT 1: a single connection per peer",
    CloseCode.DUPLICATE: "BOLT 1: a single connection per peer",
    CloseCode.HANDSHAKE: "BOLT 8: a failed act MUST terminate the connection attempt",
    CloseCode.BAD_TAG: "BOLT 8: a failed MAC MUST terminate the connection",
    CloseCode.INIT_EXPECTED: "BOLT 1: init MUST be the first message",
    CloseCode.SECOND_INIT: "BOLT 1: init is sent once",
    CloseCode.MALFORMED: "BOLT 1: a known message that does not decode MUST close the connection",
    CloseCode.UNKNOWN_EVEN: "BOLT 1: an unknown even type MUST close the connection",
    CloseCode.UNSUPPORTED_FEATURE: "BOLT 1: an unknown even feature bit MUST close the connection",
    CloseCode.FEATURE_DEPENDENCY: "BOLT 1: a missing dependency MUST close the connection",
    CloseCode.NO_COMMON_NETWORK: "BOLT 1: without a common chain MAY close the connection",
    CloseCode.BAD_GOSSIP: "BOLT 7: an invalid signature SHOULD be warned of and MAY close the connection",
    CloseCode.PING_UNANSWERED: "BOLT 1: ping, to find out whether the peer is still there",
    CloseCode.PEER_ERROR: "BOLT 1: error about the whole connection",
}
"""The rule that asks for the end, where one does."""

_CLN_WORDS = {
    CloseCode.TIMEOUT: "Connection timed out",
    CloseCode.HANDSHAKE: "Protocol error",
    CloseCode.BAD_TAG: "Protocol error",
    CloseCode.REFUSED: "Terminated due to too many connections",
    CloseCode.NO_COMMON_NETWORK: "No common network",
}


@dataclass(frozen=True, slots=True)
class CloseReason:
    """The end of one connection."""

    code: CloseCode
    detail: str
    """The fact that tells this end from others of its code, such as a type or the peer's own words; may be empty."""
    by: By

    def __str__(self) -> str:
        return f"{self.code.value}: {self.detail}" if self.detail else self.code.value

    @property
    def source(self) -> str:
        """The BOLT's rule behind it; empty where none is."""
        return SOURCES.get(self.code, "")

    def cln_words(self, phase: ConnectPhase) -> str:
        """As CLN's 401 names the end of an attempt that had come as far as `phase`."""
        if self.code is CloseCode.PEER_CLOSED:
            suspicion = " (wrong key?)" if phase is ConnectPhase.HANDSHAKE else ""
            return f"peer closed connection{suspicion}"
        if self.code is CloseCode.UNSUPPORTED_FEATURE:
            return f"Unsupported feature {self.detail}"
        return _CLN_WORDS.get(self.code) or self.detail or self.code.value


def closed_by_us(code: CloseCode, detail: str = "") -> CloseReason:
    """An end that we decided on."""
    return CloseReason(code, detail, "us")


def closed_by_them(code: CloseCode, detail: str = "") -> CloseReason:
    """An end that the peer decided on."""
    return CloseReason(code, detail, "them")


def lost(error: BaseException | None) -> CloseReason:
    """What the socket's end means: None is an orderly close by the peer."""
    if error is None:
        return closed_by_them(CloseCode.PEER_CLOSED)
    return CloseReason(CloseCode.NETWORK, os_words(error), "network")


def os_words(error: BaseException) -> str:
    """An operating system's error as CLN words it: strerror, or that there are too many connections."""
    number = error.errno if isinstance(error, OSError) else None
    if number in (errno_module.EMFILE, errno_module.ENFILE):
        return _CLN_WORDS[CloseCode.REFUSED]
    if number is not None and number > 0:
        return os.strerror(number)
    return str(error) or type(error).__name__
