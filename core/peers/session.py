"""One live connection with one peer: handshake, init, messages, and an end that always has a reason."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from core.base.clock import Clock
from core.base.events import ConnectPhase, ConnectProgress, Direction, EventBus, PeerPinged
from core.bolt.address import Address, AddressKind
from core.bolt.features import GOSSIP_QUERIES_BITS, LEYDEN_FEATURES, combine, from_bits
from core.bolt.keys import NodeKey, short_id
from core.bolt.messages import ALL_CHANNELS, ErrorMessage, Init, Ping, WarningMessage
from core.bolt.networks import Network
from core.bolt.noise import NoiseConnection, NoiseError
from core.bolt.types import name_of
from core.bolt.wire import WireError
from core.peers.budget import LoopBudget
from core.peers.deadlines import Deadline, Deadlines
from core.peers.dispatch import HANDLERS
from core.peers.errors import PeerNotConnected
from core.peers.events import PeerNotice
from core.peers.hooks import NO_HOOKS, GossipListener, PeerHooks, Refused
from core.peers.init_rules import Unacceptable, check_init, reachable_from_everywhere
from core.peers.pings import Pings
from core.peers.reasons import CloseCode, CloseReason, closed_by_them, closed_by_us, lost
from core.peers.throttle import Allowances, Kind, Throttle
from core.peers.transport import Transport
from core.peers.values import PeerConfig, PeerInfo
from core.peers.wiretap import Wiretap

_log = logging.getLogger(__name__)

_INIT = Init.TYPE
_UNNAMED = Address(AddressKind.LOCAL, "", 0)
_LINGER_S = 1.0
"""How long a peer that we said goodbye to may take to close its side."""
_LOGGED_NOTICES = 20
"""Of one connection: a peer that warns without end must not push everything else out of the log."""
_PRINTED_BYTES = 400
"""Of a message that a warning quotes."""


class SessionOwner(Protocol):
    """The peer manager, as a session sees it."""

    def admit(self, session: Session) -> bool:
        """Whether an incoming connection may begin its handshake."""

    def is_banned(self, node_id: bytes) -> bool:
        """Whether an incoming peer that has shown its id is to be sent away."""

    def dialled(self, session: Session) -> None:
        """An outgoing TCP connection stands."""

    def is_only_dial(self, session: Session) -> bool:
        """Whether an outgoing connection may complete its handshake."""

    def established(self, session: Session) -> None:
        """Both inits are exchanged."""

    def ended(self, session: Session) -> None:
        """The socket is closed; `session.reason` says why. Also for sessions that were never established."""


@dataclass(frozen=True, slots=True)
class SessionContext:
    """What all sessions of a node share."""

    key: NodeKey
    network: Network
    bus: EventBus
    clock: Clock
    budget: LoopBudget
    config: PeerConfig
    deadlines: Deadlines
    wiretap: Wiretap
    owner: SessionOwner
    hooks: PeerHooks = NO_HOOKS
    gossip: GossipListener | None = None
    """None: no graph is kept."""

    @property
    def features(self) -> bytes:
        """What our init offers."""
        if self.config.offer_gossip_queries or self.gossip is not None:
            return combine(LEYDEN_FEATURES, from_bits(GOSSIP_QUERIES_BITS))
        return LEYDEN_FEATURES


class Session:
    """A connection from TCP connect to its end (`transport.TransportOwner`)."""

    __slots__ = (
        "_allowances",
        "_connected_at",
        "_connected_wall",
        "_context",
        "_deadline",
        "_established",
        "_gone",
        "_introducing",
        "_notices",
        "address",
        "direction",
        "features",
        "next_look_at",
        "node_id",
        "phase",
        "pings",
        "reason",
        "remote_addr",
        "stalled_since",
        "transport",
    )

    def __init__(self, context: SessionContext, node_id: bytes | None, address: Address | None) -> None:
        """With `node_id` and `address` an outgoing connection, without `node_id` an incoming one.

        An incoming one with `address` came through our onion service: it stands for the peer's, that nobody knows.
        The connection itself is made by handing `transport` to the loop. ValueError when `node_id` is no public key.
        """
        self._context = context
        outgoing = node_id is not None
        self.node_id = node_id
        """33 bytes; None until an incoming peer has completed its handshake."""
        self.address = address or _UNNAMED
        self.direction = Direction.OUT if outgoing else Direction.IN
        self.phase = ConnectPhase.DIALLING
        self.features = b""
        self.remote_addr: str | None = None
        self.reason: CloseReason | None = None
        """Why it ended or is ending; None while it lives."""
        self.pings = Pings(context.clock)
        self.next_look_at = 0.0
        """When the watch looks at this session next; kept by `keepalive`."""
        self.stalled_since: float | None = None
        """Since when the watch has seen the peer not reading; kept by `keepalive`."""
        self._established = self._introducing = False
        self._notices = 0
        self._connected_at = self._connected_wall = 0.0
        self._deadline: Deadline | None = None
        self._gone: asyncio.Future[None] | None = None
        noise = (
            NoiseConnection.responder(context.key)
            if node_id is None
            else NoiseConnection.initiator(context.key, node_id)
        )
        limits, clock = context.config.limits, context.clock
        self._allowances = Allowances(limits, clock)
        throttle = Throttle(limits, context.deadlines, clock)
        self.transport = Transport(noise, self, context.budget, limits, clock, throttle)

    def __repr__(self) -> str:
        who = short_id(self.node_id) if self.node_id else "unknown"
        return f"Session({who}, {self.direction.value}, {self.address}, {self.phase.value})"

    @property
    def peer_id(self) -> bytes:
        """The node id of a peer that has shown it."""
        assert self.node_id is not None
        return self.node_id

    @property
    def is_established(self) -> bool:
        """Init is done and the end has not begun."""
        return self._established and self.reason is None

    @property
    def is_introducing(self) -> bool:
        """Both inits are exchanged, and somebody above decides whether the peer is wanted (CLN: connecting)."""
        return self._introducing and self.reason is None

    @property
    def was_established(self) -> bool:
        """Init was done at some time."""
        return self._established

    @property
    def connected_at(self) -> float:
        """Monotonic time of the completed init."""
        return self._connected_at

    @property
    def heard_at(self) -> float:
        """Monotonic time of their last message."""
        return max(self.transport.last_message_at, self._connected_at)

    def info(self) -> PeerInfo:
        """The session as a value."""
        transport, clock = self.transport, self._context.clock
        return PeerInfo(
            node_id=self.peer_id,
            direction=self.direction,
            address=self.address,
            features=self.features,
            remote_addr=self.remote_addr,
            connected_at=self._connected_wall,
            last_message_at=clock.time() - (clock.monotonic() - self.heard_at),
            latency_s=self.pings.latency_s,
            messages_in=transport.messages_in,
            messages_out=transport.messages_out,
            bytes_in=transport.bytes_in,
            bytes_out=transport.bytes_out,
            messages_ignored=self._allowances.ignored,
        )

    # -- what others do with a session

    def send(self, message: bytes) -> None:
        """Queue one message, its two type bytes included; order is kept, delivery is best effort."""
        self.transport.send(message)

    @property
    def unsent_bytes(self) -> int:
        """Sent and not yet taken by the operating system."""
        return self.transport.unsent_bytes

    def hold_for_gossip(self, held: bool) -> None:
        """Read nothing more of this peer, or go on: what it brought is still to be verified."""
        self.transport.hold_for_gossip(held)

    def take_gossip(self, message: bytes) -> bool:
        """Hand a message to who keeps the graph; False when nobody does."""
        listener = self._context.gossip
        if listener is not None:
            listener.heard(self, message)
        return listener is not None

    def warn(self, text: str) -> None:
        """Tell the peer what was wrong; nothing follows."""
        self.send(WarningMessage(ALL_CHANNELS, text.encode("ascii", "replace")).encode())

    def refuse_gossip(self, text: str) -> None:
        """BOLT 7: a false signature SHOULD be warned of, and the connection closed."""
        self.warn_and_close(closed_by_us(CloseCode.BAD_GOSSIP, text), text)

    def dialling(self) -> None:
        """The loop has been asked to connect; told to who watches."""
        self._tell_progress()

    def grants(self, kind: Kind) -> bool:
        """Whether one more message of this kind is within what the peer may send; one that is not is counted."""
        return self._allowances.grants(kind)

    def probe(self) -> None:
        """Send the watch's ping."""
        self.send(Ping(Pings.PROBE_PONG_BYTES).encode())
        self.pings.probe_sent()

    def take_pong(self, length: int) -> None:
        """A pong with so many bytes came."""
        latency_s = self.pings.answered(length)
        if latency_s is not None:
            self._context.bus.publish(PeerPinged(self.peer_id, latency_s))

    def close(self, reason: CloseReason) -> None:
        """Send what is queued and say goodbye; bounded by `Limits.drain_s`. The first reason stays."""
        if not self._note(reason):
            return
        self.transport.close()
        limits = self._context.config.limits
        self._set_deadline(min(_LINGER_S, limits.drain_s), self._stop_lingering)

    def abort(self, reason: CloseReason) -> None:
        """End it now; what is queued is lost."""
        self._note(reason)
        self.transport.abort()

    def warn_and_close(self, reason: CloseReason, text: str) -> None:
        """Tell the peer what was wrong (a `warning` about the connection, which fails nothing), then close."""
        if self.reason is None:
            self.warn(text)
        self.close(reason)

    def malformed(self, message: bytes) -> None:
        """BOLT 1: a known message that is too short MUST close the connection; CLN's words."""
        name = name_of(message[0] << 8 | message[1]) or "message"
        self.warn_and_close(closed_by_us(CloseCode.MALFORMED, name), f"Invalid {name} {self.printable(message)}")

    def noticed(self, said: ErrorMessage | WarningMessage) -> None:
        """The peer said something that has no consequence."""
        text = self.bounded(said.text)
        self._notices += 1
        if self._notices <= _LOGGED_NOTICES:
            _log.info("%s says: %s", self, text)
        if self._notices == _LOGGED_NOTICES:
            _log.info("what %s says from here on is not logged", self)
        self._context.bus.publish(
            PeerNotice(self.peer_id, isinstance(said, ErrorMessage), said.channel_id, text),
        )

    def bounded(self, text: str) -> str:
        """A peer's text, cut to what is kept of it."""
        limit = self._context.config.limits.notice_characters
        return text if len(text) <= limit else text[:limit] + "..."

    @staticmethod
    def printable(message: bytes) -> str:
        """A message as a warning quotes it: hex, cut."""
        return message[:_PRINTED_BYTES].hex() + ("..." if len(message) > _PRINTED_BYTES else "")

    async def gone(self) -> None:
        """Wait until the socket is closed."""
        if self._gone is None:
            self._gone = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._gone)

    # -- what the transport tells (TransportOwner)

    def opened(self) -> None:
        self.phase = ConnectPhase.HANDSHAKE
        if self.direction is Direction.IN:
            if self.address is _UNNAMED:
                self.address = _address_of(self.transport.peer_name())
            if not self._context.owner.admit(self):
                self.abort(closed_by_us(CloseCode.REFUSED))
                return
        else:
            self._context.owner.dialled(self)
            self._tell_progress()
        self._set_deadline(self._context.config.limits.handshake_s, self._too_slow)

    def authenticated(self) -> None:
        self.node_id = self.transport.noise.remote_node_id
        outgoing = self.direction is Direction.OUT
        if outgoing and not self._context.owner.is_only_dial(self):
            # Act three is not on its way yet, so for the peer this connection never was.
            self.abort(closed_by_us(CloseCode.DUPLICATE))
            return
        if not outgoing and self._context.owner.is_banned(self.peer_id):
            self.abort(closed_by_us(CloseCode.BANNED))
            return
        self.phase = ConnectPhase.INIT
        if outgoing:
            self._tell_progress()
        # BOLT 1: remote_addr tells the peer which address it came from; of a connection that it did not open we
        # know nothing worth telling.
        told = self.direction is Direction.IN and self.address.kind in (AddressKind.IPV4, AddressKind.IPV6)
        init = Init(b"", self._context.features, (self._context.network.chain_hash,), self.address if told else None)
        self.send(init.encode())

    def received(self, message: bytes) -> None:
        if len(message) < 2:
            return  # no type, so nothing that could be known or unknown (CLN ignores it)
        type_ = message[0] << 8 | message[1]
        if not self._established:
            if not self._introducing:  # who is being judged is not read; this is what a lost connection left
                self._before_established(type_, message)
            return
        handler = HANDLERS.get(type_)
        if handler is not None:
            handler(self, message)
        elif type_ & 1 or self._context.hooks.takes(type_):
            # BOLT 1: MUST ignore an unknown odd type; for us ignoring is showing it to whoever listens.
            self._take_custom(message)
        else:
            self._unknown_even(type_, message)

    def noise_failed(self, error: NoiseError) -> None:
        code = CloseCode.BAD_TAG if self.transport.noise.handshake_complete else CloseCode.HANDSHAKE
        # BOLT 8: nothing is sent after a failure.
        self.abort(closed_by_us(code, error.code))

    def crashed(self, error: Exception) -> None:
        asyncio.get_running_loop().call_exception_handler(
            {"message": f"handling a message failed: {self!r}", "exception": error}
        )
        self.abort(closed_by_us(CloseCode.INTERNAL, type(error).__name__))

    def not_reading(self) -> None:
        self.abort(closed_by_us(CloseCode.NOT_READING, f"{self.transport.unsent_bytes} bytes unsent"))

    def lost(self, error: BaseException | None) -> None:
        self._note(lost(error))
        self._cancel_deadline()
        self.pings.end(PeerNotConnected(node_id=self.node_id or b""))
        _log.debug("%s ended: %s", self, self.reason)
        try:
            self._context.owner.ended(self)
            if self._established and self._context.gossip is not None:
                self._context.gossip.disconnected(self)
        finally:
            if self._gone is None:
                self._gone = asyncio.get_running_loop().create_future()
            if not self._gone.done():
                self._gone.set_result(None)

    # -- inside

    def _take_custom(self, message: bytes) -> None:
        """Shown to whoever listens; while somebody above looks at it, nothing more is read from this peer."""
        self._context.wiretap.record(self.peer_id, Direction.IN, message)
        if self._context.hooks.custom_message(self.peer_id, message, self.transport.release):
            self.transport.hold()

    def _before_established(self, type_: int, message: bytes) -> None:
        if type_ == _INIT:
            self._take_init(message)
        elif type_ in (ErrorMessage.TYPE, WarningMessage.TYPE):
            self._refused_by_peer(type_, message)
        elif type_ in HANDLERS or not type_ & 1:
            name = name_of(type_) or f"type {type_}"
            self.warn_and_close(closed_by_us(CloseCode.INIT_EXPECTED, name), f"Expected init, not {name}")

    def _take_init(self, message: bytes) -> None:
        context = self._context
        try:
            init = check_init(message, ours=context.features, network=context.network)
        except Unacceptable as error:
            self.warn_and_close(error.reason, error.warning)
            return
        self.features = init.all_features
        if init.remote_addr is not None and reachable_from_everywhere(init.remote_addr):
            self.remote_addr = str(init.remote_addr)
        self._cancel_deadline()
        self._connected_at = context.clock.monotonic()
        self._connected_wall = context.clock.time()
        self._introducing = context.hooks.peer_connected(self.info(), self._judged)
        if self._introducing:
            self.transport.hold()
        else:
            self._establish()

    def _judged(self, refused: Refused | None) -> None:
        """Somebody above has decided whether this peer is wanted."""
        self._introducing = False
        if self.reason is not None:
            return
        if refused is None:
            self._establish()
            self.transport.release()
        elif refused.warning is None:
            self.close(closed_by_us(CloseCode.UNWANTED))
        else:
            self.warn_and_close(closed_by_us(CloseCode.UNWANTED, self.bounded(refused.warning)), refused.warning)

    def _establish(self) -> None:
        self._established = True
        self._context.owner.established(self)
        if self._context.gossip is not None:
            self._context.gossip.connected(self)

    def _refused_by_peer(self, type_: int, message: bytes) -> None:
        """Some say why they will not go on before any init of theirs."""
        is_error = type_ == ErrorMessage.TYPE
        try:
            words = self.bounded((ErrorMessage if is_error else WarningMessage).decode(message).text)
        except WireError:
            words = ""
        code = CloseCode.PEER_ERROR if is_error else CloseCode.PEER_WARNING
        self.close(closed_by_them(code, words))

    def _unknown_even(self, type_: int, message: bytes) -> None:
        """BOLT 1: an unknown even type MUST close the connection; a warning first, in CLN's words."""
        self.warn_and_close(
            closed_by_us(CloseCode.UNKNOWN_EVEN, f"type {type_}"),
            f"Invalid unknown even msg {self.printable(message)}",
        )

    def _note(self, reason: CloseReason) -> bool:
        if self.reason is not None:
            return False
        self.reason = reason
        return True

    def _tell_progress(self) -> None:
        self._context.bus.publish(ConnectProgress(self.peer_id, str(self.address), self.phase))

    def _set_deadline(self, seconds: float, action: Callable[[], None]) -> None:
        self._cancel_deadline()
        self._deadline = self._context.deadlines.after(seconds, action)

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        self.abort(closed_by_us(CloseCode.TIMEOUT, f"no {'init' if self.phase is ConnectPhase.INIT else 'handshake'}"))

    def _stop_lingering(self) -> None:
        rest_s = self._context.config.limits.drain_s - _LINGER_S
        if self.transport.unsent_bytes and rest_s > 0:
            self._set_deadline(rest_s, self.transport.abort)
        else:
            self.transport.abort()


def _address_of(name: object) -> Address:
    """What a socket calls its other end; one without a name came by a local socket."""
    if isinstance(name, tuple):
        return Address.from_socket_name(name)
    return _UNNAMED
