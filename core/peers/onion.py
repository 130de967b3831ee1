"""Our onion service: a listener on loopback that Tor leads to, kept up by a connection with Tor's control port."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import stat
from collections.abc import Callable
from dataclasses import dataclass

from core.base.clock import Clock
from core.base.errors import LeydenError
from core.bolt.address import Address, AddressKind
from core.bolt.onion_key import OnionKey
from core.peers import onion_protocol as protocol
from core.peers.errors import OnionServiceFailed
from core.peers.limits import Limits
from core.peers.listeners import Listeners
from core.peers.onion_protocol import ControlError
from core.peers.reasons import os_words

log = logging.getLogger(__name__)

_ANSWER_S = 30.0
"""For all of it, from the connection on; Tor answers at once, also while it has no circuit yet."""
_LEAVE_S = 1.0
_LINE = protocol.MAX_LINE_BYTES


@dataclass(frozen=True, slots=True)
class OnionConfig:
    """What the owner of the node chose, and the key that goes with the node's."""

    host: str
    """An IP address of loopback."""
    port: int
    key: OnionKey
    virtual_port: int
    """What others dial."""
    password: Callable[[], bytes] | None = None
    """Read anew for each connection; None: Tor's cookie is used."""

    @property
    def address(self) -> Address:
        """Where others reach us."""
        return Address(AddressKind.TORV3, self.key.host, self.virtual_port)


class OnionService:
    """`start`, then `run` for as long as it shall be kept up, then `aclose`, in any state."""

    def __init__(
        self, config: OnionConfig, incoming: Callable[[Address], asyncio.BaseProtocol], clock: Clock, limits: Limits
    ) -> None:
        """`incoming` makes the protocol of a connection that came through the service, given our own address."""
        self.address = config.address
        self._config = config
        self._incoming = incoming
        self._clock = clock
        self._limits = limits
        self._listeners = Listeners(config.virtual_port)
        self._control: _Control | None = None

    @property
    def is_up(self) -> bool:
        """Whether Tor has the service now."""
        return self._control is not None

    async def start(self) -> None:
        """Listen, and have Tor make the service. OnionServiceFailed, ListenFailed; then `aclose` is still due."""
        await self._listeners.open(["127.0.0.1:0"], lambda: self._incoming(self.address))
        await self._publish()
        log.info("our onion service is %s", self.address)

    async def run(self) -> None:
        """Have Tor make the service again whenever the connection was lost; until it is cancelled."""
        while True:
            if self._control is not None:
                await self._control.lost()
                self._control.close()
                self._control = None
                log.warning("Tor's control port has gone, and %s with it", self.address)
            wait_s = self._limits.backoff_first_s
            while not self.is_up:
                await self._clock.sleep(wait_s)
                wait_s = min(wait_s * 2, self._limits.backoff_max_s)
                try:
                    await self._publish()
                except LeydenError as error:  # also of the password's file
                    log.warning("no onion service yet: %s", error)
            log.info("our onion service %s is back", self.address)

    async def aclose(self) -> None:
        """Take the service away and accept nobody more; connections that are there stay."""
        control, self._control = self._control, None
        if control is not None:
            await control.leave(protocol.del_onion(self._config.key))
        await self._listeners.aclose()

    async def _publish(self) -> None:
        config = self._config
        (target,) = self._listeners.bound
        try:
            async with asyncio.timeout(_ANSWER_S):
                control = _Control(*await asyncio.open_connection(config.host, config.port, limit=_LINE))
                try:
                    await _authenticate(control, config.password)
                    made = await control.ask(protocol.add_onion(config.key, config.virtual_port, str(target)))
                    protocol.check_service(made, config.key)
                except BaseException:
                    control.close()
                    raise
        except TimeoutError:
            raise self._failed("it does not answer") from None
        except OSError as error:
            raise self._failed(os_words(error)) from None
        except ControlError as error:
            raise self._failed(error.reason) from None
        self._control = control

    def _failed(self, reason: str) -> OnionServiceFailed:
        host, port = self._config.host, self._config.port
        return OnionServiceFailed(control=f"[{host}]:{port}" if ":" in host else f"{host}:{port}", reason=reason)


class _Control:
    """One connection with the control port."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def ask(self, command: str) -> protocol.Reply:
        """The answer; OSError or ControlError when there is none. The command is in no error: it may hold a key."""
        self._writer.write(f"{command}\r\n".encode())
        reply, answer = None, protocol.ReplyReader()
        while reply is None:
            try:
                line = await self._reader.readline()
            except ValueError:
                raise ControlError("a line of Tor's answer is too long") from None
            if not line:
                raise ControlError("Tor closed the connection")
            reply = answer.take(line)
        return reply

    async def lost(self) -> None:
        """Wait for the connection's end; Tor has nothing to say unasked."""
        with contextlib.suppress(OSError):
            while await self._reader.read(_LINE):
                pass

    async def leave(self, command: str) -> None:
        """Say a last thing, if Tor takes it soon, and go."""
        with contextlib.suppress(OSError):
            async with asyncio.timeout(_LEAVE_S):
                self._writer.write(f"{command}\r\nQUIT\r\n".encode())
                await self.lost()
        self.close()

    def close(self) -> None:
        self._writer.transport.abort()


async def _authenticate(control: _Control, password: Callable[[], bytes] | None) -> None:
    offered = protocol.auth_methods(await control.ask(protocol.PROTOCOLINFO))
    if password is not None:
        if "HASHEDPASSWORD" not in offered.methods:
            raise ControlError("Tor has no HashedControlPassword")
        command = protocol.authenticate_by_password(password())
    elif "NULL" in offered.methods:
        command = "AUTHENTICATE"
    elif "SAFECOOKIE" in offered.methods and offered.cookie_file:
        # Never COOKIE, that any Tor since 2012 offers only beside SAFECOOKIE: whoever took the port could name a file
        # and have us send him what is in it.
        cookie, nonce = _read_cookie(offered.cookie_file), secrets.token_bytes(protocol.NONCE_BYTES)
        command = protocol.authenticate_by_cookie(await control.ask(protocol.challenge(nonce)), cookie, nonce)
    elif "HASHEDPASSWORD" in offered.methods:
        raise ControlError("Tor wants a password: --tor-control-password-file FILE")
    else:
        raise ControlError("Tor offers no way to authenticate that is known here")
    (await control.ask(command)).check("AUTHENTICATE")


def _read_cookie(path: str) -> bytes:
    try:
        # Not blocking, lest a FIFO holds the start for ever.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        try:
            regular = stat.S_ISREG(os.fstat(handle).st_mode)
            cookie = os.read(handle, protocol.COOKIE_BYTES + 1) if regular else b""
        finally:
            os.close(handle)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise ControlError(f"its cookie {path[:200]} cannot be read: {reason or 'not a path'}") from None
    if len(cookie) != protocol.COOKIE_BYTES:
        raise ControlError(f"{path[:200]} is not Tor's cookie")
    return cookie
