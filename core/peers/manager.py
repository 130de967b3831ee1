"""The peers of a running node: listening, dialling, custom messages, and the end of it all."""

from __future__ import annotations

import asyncio
import random
from collections import Counter, deque
from collections.abc import Coroutine, Sequence

from core.base.clock import Clock
from core.base.events import ConnectPhase, CustomMessage, Direction, EventBus
from core.bolt.address import Address, AddressKind
from core.bolt.keys import NodeKey
from core.bolt.messages import MAX_ANSWERED_PONG_BYTES, MAX_PING_IGNORED_BYTES, Ping
from core.bolt.networks import Network
from core.bolt.types import MESSAGE_TYPES
from core.bolt.wire import MAX_MESSAGE_BYTES
from core.peers.bans import Ban, Bans, banned_node, covers
from core.peers.bootstrap import AddressSources, Announced, DnsBootstrap, nothing_announced
from core.peers.budget import LoopBudget
from core.peers.closed import ClosedConnection
from core.peers.crowd import least_useful, origin_of
from core.peers.deadlines import Deadlines
from core.peers.dialler import Dialler
from core.peers.errors import (
    Banned,
    CustomMessageSize,
    CustomPeerNotConnected,
    CustomTypeEven,
    CustomTypeInternal,
    DisconnectedDuringConnect,
    NoAddressKnown,
    NoSuchPeer,
    OwnNodeId,
    PeerHasChannel,
    PeerNotConnected,
    PingPending,
    PingTooLong,
    PongTooLong,
    UnknownPeer,
)
from core.peers.hooks import NO_HOOKS, GossipListener, PeerHooks
from core.peers.keepalive import Keepalive
from core.peers.listeners import Listeners
from core.peers.proxy import led_by_onion
from core.peers.readiness import ChannelReadiness, until_channels_ready
from core.peers.reasons import CloseCode, closed_by_us
from core.peers.reconnect import Reconnector
from core.peers.resolve import Resolver, in_dialling_order, resolve_host, system_resolver
from core.peers.saved import SavedPeers
from core.peers.session import Session, SessionContext
from core.peers.survivors import Survivors
from core.peers.values import ChannelStates, PeerBook, PeerConfig, PeerInfo, SavedPeer
from core.peers.wiretap import Wiretap

__all__ = ["ChannelStates", "ClosedConnection", "PeerBook", "PeerConfig", "PeerInfo", "PeerManager", "SavedPeer"]

_LOOK_S = 1.0
_PONG_HEADER_BYTES = 4


class PeerManager:
    """Every connection of the node, and nothing of what is said over them beyond BOLT 1."""

    def __init__(
        self,
        *,
        key: NodeKey,
        network: Network,
        bus: EventBus,
        clock: Clock,
        budget: LoopBudget,
        book: PeerBook,
        channels: ChannelStates,
        bans: Bans | None = None,
        config: PeerConfig | None = None,
        hooks: PeerHooks = NO_HOOKS,
        gossip: GossipListener | None = None,
        readiness: ChannelReadiness | None = None,
        bootstrap: DnsBootstrap | None = None,
        announced: Announced = nothing_announced,
        resolver: Resolver = system_resolver,
        chance: random.Random | None = None,
    ) -> None:
        """`resolver` and `chance` (for jitter) are for tests."""
        config = config or PeerConfig()
        limits = config.limits
        chance = chance or random.Random()
        self._key = key
        self._network = network
        self._clock = clock
        self._budget = budget
        self._book = book
        self._channels = channels
        self._readiness = readiness
        self._config = config
        sealed = config.proxy is not None and config.proxy.always  # nothing may be resolved here
        self.resolver = None if sealed else resolver  # None: names are the proxy's to resolve
        seeds = None if sealed or config.disable_dns else bootstrap
        self._sources = AddressSources(book, seeds, announced, remembers=not config.cln_strict)
        self._deadlines = Deadlines(clock)
        self._wiretap = Wiretap(bus, clock, max_messages=limits.ring_messages, max_bytes=limits.ring_bytes)
        self._context = SessionContext(
            key, network, bus, clock, budget, config, self._deadlines, self._wiretap, self, hooks, gossip
        )
        self._survivors = Survivors(key.node_id, bus, self._deadlines)
        self._listeners = Listeners(network.default_port)
        self.bans = bans or Bans(clock)
        self._dialler = Dialler(self._context, resolver, self.bans, self._dial_failed)
        self._keepalive = Keepalive(self._survivors, clock, limits, chance)
        self._reconnector = Reconnector(self._redial, clock, limits, chance)
        self.saved = SavedPeers(book, self._reconnector)
        """What is kept of peers, connected or not."""
        self._sessions: set[Session] = set()
        """Every connection whose socket is open, also such as have not said who they are."""
        self._strangers: Counter[str] = Counter()
        """Incoming connections without a completed init, by origin."""
        self._background: set[asyncio.Task[None]] = set()
        self._past = [0, 0, 0, 0]
        self._closed = False
        self.closed_connections: deque[ClosedConnection] = deque(maxlen=limits.closed_kept)
        """The latest ends with their reasons, newest last."""

    # -- listening

    async def listen(self, binds: Sequence[str]) -> tuple[Address, ...]:
        """Bind each `HOST:PORT` or `/PATH` and accept from now on; the addresses really bound. ListenFailed if not."""
        return await self._listeners.open(binds, self.incoming)

    def incoming(self, address: Address | None = None) -> asyncio.BaseProtocol:
        """For one connection that comes in; `address` where the socket's other end is not the peer's."""
        return Session(self._context, None, address).transport

    @property
    def bound(self) -> tuple[Address, ...]:
        """Where we listen."""
        return self._listeners.bound

    # -- connecting and disconnecting

    async def connect(self, node_id: bytes, host: str | None = None, port: int | None = None) -> PeerInfo:
        """A connection with the peer, a new one or the one that is there.

        Raises HostNotValid, HostNotSimple, OwnNodeId, Banned, NoAddressKnown, AllAddressesFailed,
        DisconnectedDuringConnect. Cancelling leaves the dial to whoever else waits for the same peer.
        """
        given: list[Address] = []
        if host is not None:
            given = [await resolve_host(host, port, self._network.default_port, self.resolver)]
        addresses, by_onion = given, bool(given) and given[0].kind is AddressKind.TORV3
        if node_id == self._key.node_id:
            raise OwnNodeId(node_id=node_id)
        if self._living(node_id) is None:
            self._refuse_banned(node_id, given)
            addresses = await self._sources.of(node_id, given)
        # Looked at after every wait: meanwhile the peer may have come by itself, and the node may have stopped.
        if self._closed:
            raise DisconnectedDuringConnect(node_id=node_id)
        session = self._living(node_id)
        if session is None:
            self._refuse_banned(node_id, given)
            if not addresses and not self._dialler.is_dialling(node_id):
                raise NoAddressKnown(node_id=node_id)
            if by_onion:
                self._reconnector.by_onion(node_id, addresses[0])
            await self._dialler.connect(node_id, addresses, alone=by_onion)
            session = self._living(node_id)
            if session is None:
                raise DisconnectedDuringConnect(node_id=node_id)
        if self._config.reconnect and session.direction is Direction.OUT:
            self._reconnector.keep(node_id, session.address)
        await until_channels_ready(self._readiness, session)
        return session.info()

    async def disconnect(self, node_id: bytes, *, force: bool = False) -> None:
        """End the connection, or the dial, and return once the peer is gone; what is queued has 5 s to leave.

        UnknownPeer, PeerNotConnected, or PeerHasChannel unless `force`. Until the next `connect` or start the peer is
        not dialled again.
        """
        self.check_disconnect(node_id, force=force)
        sessions = self._connections(node_id)
        self._reconnector.rest(node_id)
        self._dialler.abandon(node_id)
        self._abort_unfinished(node_id)
        for session in sessions:
            session.close(closed_by_us(CloseCode.REQUESTED))
        for session in sessions:
            await session.gone()

    def check_disconnect(self, node_id: bytes, *, force: bool = False) -> None:
        """Whether `disconnect` would go on; raises what it would."""
        if not self.is_known(node_id):
            raise UnknownPeer(node_id=node_id)
        if not self._connections(node_id) and not self._dialler.is_dialling(node_id):
            raise PeerNotConnected(node_id=node_id)
        state = self._channels.state_of(node_id)
        if state is not None and not force:
            raise PeerHasChannel(node_id=node_id, state=state)

    def is_known(self, node_id: bytes) -> bool:
        """As CLN means it: connected, connecting, or with a channel. What is saved does not count."""
        return bool(
            self._connections(node_id) or self._dialler.is_dialling(node_id) or self._channels.is_known(node_id)
        )

    async def ban(self, subject: str, until: float, *, disconnect: bool = True, force: bool = False) -> Ban:
        """Keep `subject` (`core.peers.bans.parse_subject`) away until that wall time.

        With `disconnect` the connections with it are ended as by `disconnect`, and this returns once they are gone.
        PeerHasChannel, with nothing done, when one of them has an active channel and `force` is not given; BansFull.
        """
        if disconnect and not force:
            for session in self._covered(subject):
                state = self._channels.state_of(session.node_id or b"")
                if state is not None:
                    raise PeerHasChannel(node_id=session.peer_id, state=state)
        ban = await self.bans.put(subject, until)
        if disconnect:
            await self._end_banned(subject)
        return ban

    def reconnect_saved(self, saved: Sequence[SavedPeer]) -> None:
        """Dial these peers from the services' next look on, and again whenever they are lost."""
        if self._config.reconnect:
            for peer in saved:
                if peer.node_id != self._key.node_id:
                    self._reconnector.start(peer.node_id, in_dialling_order(led_by_onion(peer.addresses)))

    def reconnects_in_s(self, node_id: bytes) -> float | None:
        """How long until this peer is dialled again; None when that is not planned."""
        return self._reconnector.due_in_s(node_id)

    # -- talking

    def send_custom(self, node_id: bytes, message: bytes) -> None:
        """Queue one custom message, its two type bytes included. Raises what `check_custom` does."""
        self._session_for_custom(node_id, message).send(message)
        self._wiretap.record(node_id, Direction.OUT, message)

    def check_custom(self, node_id: bytes, message: bytes) -> None:
        """Whether `send_custom` would queue this.

        CustomMessageSize, CustomTypeInternal, CustomTypeEven, NoSuchPeer, CustomPeerNotConnected, in this order.
        """
        self._session_for_custom(node_id, message)

    def _session_for_custom(self, node_id: bytes, message: bytes) -> Session:
        if not 2 <= len(message) <= MAX_MESSAGE_BYTES:
            raise CustomMessageSize(length=len(message))
        type_ = message[0] << 8 | message[1]
        info = MESSAGE_TYPES.get(type_)
        if info is not None and info.cln_refused:
            raise CustomTypeInternal(type=type_, name=info.name)
        if type_ % 2 == 0 and not self._config.allow_even_custom_messages:
            raise CustomTypeEven(type=type_)
        session = self._living(node_id) or next(iter(self._introducing(node_id)), None)
        if session is None:
            if self._channels.is_known(node_id) or self._dialler.is_dialling(node_id):
                raise CustomPeerNotConnected(node_id=node_id)
            raise NoSuchPeer(node_id=node_id)
        return session

    async def ping(self, node_id: bytes, length: int = 128, pong_bytes: int = 128) -> int:
        """The length of the whole pong message, 0 at once when the peer must not answer (65,532 bytes and more).

        PingTooLong, PongTooLong, PeerNotConnected (also when the peer leaves meanwhile), PingPending.
        """
        if length > MAX_PING_IGNORED_BYTES:
            raise PingTooLong(length=length)
        if pong_bytes > MAX_MESSAGE_BYTES:
            raise PongTooLong(length=pong_bytes)
        session = self._living(node_id)
        if session is None:
            raise PeerNotConnected(node_id=node_id)
        if session.pings.asked_pending:
            raise PingPending(node_id=node_id)
        session.send(Ping(pong_bytes, bytes(length)).encode())
        if pong_bytes >= MAX_ANSWERED_PONG_BYTES:
            return 0
        return _PONG_HEADER_BYTES + await session.pings.asked_sent(pong_bytes)

    # -- looking

    def peers(self) -> list[PeerInfo]:
        """Every connected peer, in the order in which they connected."""
        return [session.info() for session in self._survivors]

    def channel_counts(self) -> dict[bytes, int]:
        """How many channels there are with each peer that has any, connected or not."""
        return self._channels.counts()

    def peer(self, node_id: bytes) -> PeerInfo | None:
        """One connected peer."""
        session = self._survivors.get(node_id)
        return session.info() if session else None

    def custom_messages(self, after: int = 0) -> list[CustomMessage]:
        """Custom messages with a cursor above `after` that are still kept, oldest first."""
        return self._wiretap.after(after)

    @property
    def messages_in(self) -> int:
        """Messages received since the start, all peers together."""
        return self._past[0] + sum(session.transport.messages_in for session in self._sessions)

    @property
    def messages_out(self) -> int:
        """Messages sent."""
        return self._past[1] + sum(session.transport.messages_out for session in self._sessions)

    @property
    def bytes_in(self) -> int:
        """Bytes received, as they were on the wire."""
        return self._past[2] + sum(session.transport.bytes_in for session in self._sessions)

    @property
    def bytes_out(self) -> int:
        """Bytes sent."""
        return self._past[3] + sum(session.transport.bytes_out for session in self._sessions)

    # -- running and ending

    async def run_services(self) -> None:
        """Pings on silence, clock jumps, reconnecting; runs until it is cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                if self._keepalive.look():
                    self._reconnector.hurry()
                self._reconnector.look(group)
                await self._clock.sleep(_LOOK_S)

    async def aclose(self, flush_timeout_s: float = 1.0) -> None:
        """Listeners first, then every connection, with so long to send what is queued; nothing is left."""
        self._closed = True
        await self._listeners.aclose()
        self._dialler.close()
        for session in tuple(self._sessions):
            session.close(closed_by_us(CloseCode.SHUTDOWN))
        if self._sessions:
            overdue = self._deadlines.after(flush_timeout_s, self._abort_all)
            while self._sessions:
                await next(iter(self._sessions)).gone()
            overdue.cancel()
        for task in tuple(self._background):
            await asyncio.wait([task])
        await self._deadlines.aclose()

    # -- what sessions tell (SessionOwner)

    def admit(self, session: Session) -> bool:
        """Bounds who has not said who they are, and with them all that have come in."""
        self._sessions.add(session)
        limits, origin = self._config.limits, origin_of(session.address)
        self._strangers[origin] += 1
        if self.bans.of_address(session.address) is not None:
            session.abort(closed_by_us(CloseCode.BANNED))
            return False
        return not (
            self._closed
            or sum(one.direction is Direction.IN for one in self._sessions) > limits.incoming + limits.unauthenticated
            or self._strangers.total() > limits.unauthenticated
            or self._strangers[origin] > limits.unauthenticated_at(session.address)
        )

    def is_banned(self, node_id: bytes) -> bool:
        """Whether this peer may not come in."""
        return self.bans.of_node(node_id) is not None

    def dialled(self, session: Session) -> None:
        """An outgoing TCP connection stands."""
        self._sessions.add(session)

    def is_only_dial(self, session: Session) -> bool:
        """One outgoing connection to a peer gets past the handshake: of two, each end could keep another one."""
        return not any(
            other.node_id == session.node_id
            and other.direction is Direction.OUT
            and other.phase is ConnectPhase.INIT
            and other.reason is None
            for other in self._sessions
        )

    def established(self, session: Session) -> None:
        """A session completed its init."""
        self._forget_stranger(session)
        self._survivors.add(session)
        self._dialler.established(session.peer_id)
        self._reconnector.connected(session.peer_id)
        if session.direction is Direction.IN:
            self._make_room()
        if session.direction is Direction.OUT:
            learnt = self._sources.learnt(session.peer_id, session.address)
            self._in_background(self._book.remember(session.peer_id, session.address, learnt))

    def ended(self, session: Session) -> None:
        """A session's socket is closed."""
        assert session.reason is not None
        self._sessions.discard(session)
        transport = session.transport
        for place, count in enumerate(
            (transport.messages_in, transport.messages_out, transport.bytes_in, transport.bytes_out)
        ):
            self._past[place] += count
        self.closed_connections.append(
            ClosedConnection(
                self._clock.time(), session.node_id, session.address, session.direction, session.phase, session.reason
            )
        )
        if not session.was_established:
            self._forget_stranger(session)
        elif self._survivors.remove(session) is not None and not self._closed:
            self._reconnector.lost(session.peer_id, self._clock.monotonic() - session.connected_at)

    # -- inside

    def _make_room(self) -> None:
        """Of more incoming peers than there may be the least useful leaves."""
        incoming = [one for one in self._survivors if one.direction is Direction.IN and one.reason is None]
        if len(incoming) > self._config.limits.incoming:
            leaving = least_useful(incoming, keep=self._is_kept, now=self._clock.monotonic())
            if leaving is not None:
                leaving.close(closed_by_us(CloseCode.CROWDED_OUT))

    def _is_kept(self, node_id: bytes) -> bool:
        """Whether we have a channel with this peer, or have dialled it and would again."""
        return self._channels.state_of(node_id) is not None or self._reconnector.keeps(node_id)

    def _living(self, node_id: bytes) -> Session | None:
        """The current session, unless its end has begun."""
        session = self._survivors.get(node_id)
        return session if session is not None and session.is_established else None

    def _introducing(self, node_id: bytes) -> list[Session]:
        """Connections about which a hook decides: whoever answers it may talk to the peer already, as in CLN."""
        return [one for one in self._sessions if one.node_id == node_id and one.is_introducing]

    def _connections(self, node_id: bytes) -> list[Session]:
        return [*self._survivors.all_of(node_id), *self._introducing(node_id)]

    def _refuse_banned(self, node_id: bytes, addresses: Sequence[Address]) -> None:
        for ban in (self.bans.of_node(node_id), *(self.bans.of_address(address) for address in addresses)):
            if ban is not None:
                raise Banned(subject=ban.subject, until=ban.until)

    async def _redial(self, node_id: bytes, addresses: Sequence[Address]) -> None:
        self._refuse_banned(node_id, ())
        await self._dialler.connect(node_id, addresses)

    def _dial_failed(self, node_id: bytes, address: Address) -> None:
        if not self._closed:
            self._in_background(self._book.failed(node_id, address))

    def _covered(self, subject: str) -> list[Session]:
        return [one for one in self._sessions if covers(subject, one.node_id, one.address)]

    async def _end_banned(self, subject: str) -> None:
        covered = self._covered(subject)
        node_id = banned_node(subject)
        if node_id is not None:
            self._reconnector.rest(node_id)
            self._dialler.abandon(node_id)
        for session in covered:
            (session.close if session.was_established else session.abort)(closed_by_us(CloseCode.BANNED))
        for session in covered:
            await session.gone()

    def _forget_stranger(self, session: Session) -> None:
        if session.direction is Direction.IN:
            origin = origin_of(session.address)
            self._strangers[origin] -= 1
            if self._strangers[origin] <= 0:
                del self._strangers[origin]

    def _abort_unfinished(self, node_id: bytes) -> None:
        """Connections of ours that outlived the dial they began in, since they were exchanging inits already."""
        for session in tuple(self._sessions):
            if session.node_id == node_id and session.direction is Direction.OUT and not session.was_established:
                session.abort(closed_by_us(CloseCode.CANCELLED))

    def _abort_all(self) -> None:
        for session in tuple(self._sessions):
            session.abort(closed_by_us(CloseCode.SHUTDOWN))

    def _in_background(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work, name="remember a peer's address")
        self._background.add(task)
        task.add_done_callback(self._background_done)

    def _background_done(self, task: asyncio.Task[None]) -> None:
        self._background.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            asyncio.get_running_loop().call_exception_handler(
                {"message": "keeping a peer's address failed", "exception": error}
            )
