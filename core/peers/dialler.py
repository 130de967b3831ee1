"""Outgoing connections: one dial a peer, whose outcome all who asked share.

A dial tries its addresses one after the other. A later `connect` that brings an address of its own starts a second run
beside the first, so a right address rescues a dial that hangs on a dead one. Whatever connection with the peer
completes first, an incoming one included, settles the dial.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from core.base.events import ConnectFailed, ConnectPhase
from core.bolt.address import Address, AddressError, AddressKind
from core.peers.bans import Bans
from core.peers.errors import AddressAttempt, AllAddressesFailed, DisconnectedDuringConnect
from core.peers.proxy import ProxyDialler, ProxyRefused, needs_proxy
from core.peers.reasons import CloseCode, closed_by_us, os_words
from core.peers.resolve import Resolver, resolve_announced
from core.peers.session import Session, SessionContext
from core.peers.transport import Transport

_OUR_WISH = (CloseCode.DUPLICATE, CloseCode.CANCELLED, CloseCode.BANNED, CloseCode.SHUTDOWN)
"""Ends that say nothing about the address."""


class _Dial:
    """One peer that is being dialled."""

    def __init__(self, node_id: bytes) -> None:
        self.node_id = node_id
        self.settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiters = 0
        self.tried: set[Address] = set()
        self.attempts: list[AddressAttempt] = []
        self.runs: set[asyncio.Task[None]] = set()
        self.sessions: set[Session] = set()

    def give_up(self) -> None:
        """End what is under way; what was tried may be tried again."""
        for session in tuple(self.sessions):
            session.abort(closed_by_us(CloseCode.CANCELLED))
        for run in self.runs:
            run.cancel()
        self.tried.clear()


class Dialler:
    """All dials under way."""

    def __init__(
        self,
        context: SessionContext,
        resolver: Resolver,
        bans: Bans,
        failed: Callable[[bytes, Address], None],
    ) -> None:
        """`failed` is told of each address of a peer that was dialled in vain."""
        self._context = context
        self._bans = bans
        self._failed = failed
        self._resolver = resolver
        config = context.config
        self._proxy = ProxyDialler(config.proxy, config.limits.proxy_s) if config.proxy else None
        self._dials: dict[bytes, _Dial] = {}

    def is_dialling(self, node_id: bytes) -> bool:
        """Whether a dial is under way."""
        return node_id in self._dials

    async def connect(self, node_id: bytes, addresses: Sequence[Address], *, alone: bool = False) -> None:
        """Until a connection with the peer is established, by whatever way.

        With `alone` whatever else is under way to the peer is given up: these addresses and no other.

        AllAddressesFailed when every run has failed, DisconnectedDuringConnect when the dial is abandoned. Whoever is
        cancelled leaves; the last one ends the dial.
        """
        dial = self._dials.get(node_id)
        if dial is None:
            dial = self._dials[node_id] = _Dial(node_id)
        if alone:
            dial.give_up()
        fresh = [address for address in addresses if address not in dial.tried]
        if fresh:
            dial.tried.update(fresh)
            run = asyncio.create_task(self._run(dial, fresh), name=f"dial {node_id.hex()[:12]}")
            dial.runs.add(run)
            run.add_done_callback(lambda run: self._run_done(dial, run))
        dial.waiters += 1
        try:
            await asyncio.shield(dial.settled)
        finally:
            dial.waiters -= 1
            if not dial.waiters and not dial.settled.done():
                self._end(dial, keep_inits=False)
                dial.settled.cancel()

    def established(self, node_id: bytes) -> None:
        """A connection with the peer is there: every waiting `connect` has what it wanted.

        A run that is exchanging inits goes on: the peer may see its connection complete as the newer one already.
        """
        dial = self._dials.get(node_id)
        if dial is not None:
            self._end(dial, keep_inits=True)
            dial.settled.set_result(None)

    def abandon(self, node_id: bytes) -> bool:
        """Fail everyone who waits for this peer; False when nobody does."""
        dial = self._dials.get(node_id)
        if dial is None:
            return False
        self._fail(dial, DisconnectedDuringConnect(node_id=node_id))
        return True

    def close(self) -> None:
        """Abandon all."""
        for node_id in tuple(self._dials):
            self.abandon(node_id)

    def _fail(self, dial: _Dial, error: AllAddressesFailed | DisconnectedDuringConnect) -> None:
        self._end(dial, keep_inits=False)
        dial.settled.set_exception(error)
        dial.settled.exception()  # somebody has looked, also when every waiter has just left
        self._context.bus.publish(ConnectFailed(dial.node_id, error))

    def _end(self, dial: _Dial, *, keep_inits: bool) -> None:
        self._dials.pop(dial.node_id, None)
        for session in tuple(dial.sessions):
            if not (keep_inits and session.phase is ConnectPhase.INIT):
                session.abort(closed_by_us(CloseCode.CANCELLED))
        for run in dial.runs:
            run.cancel()

    def _run_done(self, dial: _Dial, run: asyncio.Task[None]) -> None:
        dial.runs.discard(run)
        error = None if run.cancelled() else run.exception()
        if error is not None:
            asyncio.get_running_loop().call_exception_handler({"message": "dial failed", "exception": error})
        if not dial.runs and not dial.settled.done():
            self._fail(dial, AllAddressesFailed(node_id=dial.node_id, attempts=tuple(dial.attempts)))

    async def _run(self, dial: _Dial, addresses: Sequence[Address]) -> None:
        """One address after the other; whoever gets through ends this task by settling the dial."""
        waiting = list(addresses)
        while waiting:
            address = waiting.pop(0)
            if self._bans.of_address(address) is not None:
                dial.attempts.append(AddressAttempt(str(address), None, "banned"))
                continue
            proxied = needs_proxy(address, self._context.config.proxy)
            if proxied and self._proxy is None:
                dial.attempts.append(AddressAttempt(str(address), None, "need a proxy"))
            elif address.kind is AddressKind.DNS and not proxied and self._context.config.disable_dns:
                dial.attempts.append(AddressAttempt(str(address), None, "dns disabled"))
            elif address.kind is AddressKind.DNS and not proxied:
                try:
                    found = await resolve_announced(address, self._resolver)
                except AddressError as error:
                    dial.attempts.append(AddressAttempt(str(address), None, error.reason))
                else:
                    waiting[:0] = [each for each in found if each not in dial.tried]
                    dial.tried.update(found)
            else:
                dial.attempts.append(await self._attempt(dial, address, self._proxy if proxied else None))

    async def _attempt(self, dial: _Dial, address: Address, proxy: ProxyDialler | None) -> AddressAttempt:
        """How this address failed; when it does not fail, the session's being established ends the run."""
        session = Session(self._context, dial.node_id, address)
        dial.sessions.add(session)
        try:
            session.dialling()
            try:
                await self._open(address, session, proxy)
            except OSError as error:
                self._failed(dial.node_id, address)
                reply = error.reply if isinstance(error, ProxyRefused) else ""
                return AddressAttempt(str(address), ConnectPhase.DIALLING, os_words(error), reply)
            await session.gone()
            assert session.reason is not None
            if session.reason.code not in _OUR_WISH:
                self._failed(dial.node_id, address)
            return AddressAttempt(str(address), session.phase, session.reason.cln_words(session.phase))
        finally:
            dial.sessions.discard(session)

    async def _open(self, address: Address, session: Session, proxy: ProxyDialler | None) -> None:
        """Connect the session's transport; OSError when that fails."""

        def connected() -> Transport:
            if self._bans.of_address(address) is not None:  # it was banned meanwhile, and gets not a byte
                session.abort(closed_by_us(CloseCode.BANNED))
            return session.transport

        loop = asyncio.get_running_loop()
        if proxy is not None:
            await _open_by_proxy(proxy, session.peer_id, address, connected)
        elif address.kind is AddressKind.LOCAL:
            await loop.create_unix_connection(connected, address.host)
        else:
            await loop.create_connection(connected, address.host, address.port)


async def _open_by_proxy(
    proxy: ProxyDialler, node_id: bytes, address: Address, make_protocol: Callable[[], Transport]
) -> None:
    """The same over a socket that the proxy has connected."""
    connected = await proxy.open(node_id, address)
    try:
        await asyncio.get_running_loop().create_connection(make_protocol, sock=connected)
    except BaseException:
        connected.close()
        raise
