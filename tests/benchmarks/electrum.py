"""The anchor: Electrum's own lightning transport, as Debian's `electrum` package brings it.

Its modules run in this interpreter with the `cryptography` that ours uses; its first choice, pycryptodomex, would be
far slower and flatter us. Nothing of it is part of Leyden: where the package is missing, its rows are left out.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.benchmarks.support import batch_of

PACKAGES = Path("/usr/lib/python3/dist-packages")
"""Where Debian keeps it and what it needs (python3-electrum, libsecp256k1)."""


def load() -> ModuleType | None:
    """Electrum's `lntransport`, or None when it is not installed."""
    if not (PACKAGES / "electrum" / "lntransport.py").exists():
        return None
    if str(PACKAGES) not in sys.path:
        sys.path.append(str(PACKAGES))  # last: whatever both have is ours
        # Electrum's web look-ups want the python-socks of its own time; its lightning transport needs neither.
        unused = ModuleType("aiohttp_socks")
        unused.ProxyConnector = unused.ProxyType = object  # type: ignore[attr-defined]
        sys.modules.setdefault("aiohttp_socks", unused)
    import electrum.crypto  # type: ignore[import-not-found]
    import electrum.lntransport  # type: ignore[import-not-found]

    electrum.crypto.HAS_CRYPTODOME = False
    assert electrum.crypto.HAS_CRYPTOGRAPHY
    return electrum.lntransport  # type: ignore[no-any-return]


def public_key(secret: bytes) -> bytes:
    """The node id of a secret, by Electrum's curve."""
    from electrum.ecc import ECPrivkey  # type: ignore[import-not-found]

    return ECPrivkey(secret).get_public_key_bytes()  # type: ignore[no-any-return]


class Listener:
    """An Electrum responder that hands over each connection once its handshake is done."""

    def __init__(self) -> None:
        self._module: Any = load()
        self.secret = secrets.token_bytes(32)
        self.accepted: asyncio.Queue[Any] = asyncio.Queue()

    async def __aenter__(self) -> Listener:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        from electrum.lnutil import LNPeerAddr  # type: ignore[import-not-found]

        self._address = LNPeerAddr("127.0.0.1", port, public_key(self.secret))
        return self

    async def __aexit__(self, *_error: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        transport = self._module.LNResponderTransport(self.secret, reader, writer)
        await transport.handshake()
        self.accepted.put_nowait(transport)

    async def pair(self, secret: bytes) -> tuple[Any, Any]:
        """A dialled connection and the accepted one, handshakes done."""
        dialled = self._module.LNTransport(secret, self._address, proxy=None)
        await dialled.handshake()
        return dialled, await self.accepted.get()


async def transport(size: int, seconds: float) -> float:
    """Messages a second of processor time through two Electrum transports, read as Electrum reads them."""
    async with Listener() as listener:
        sender, receiver = await listener.pair(secrets.token_bytes(32))
        message, received = bytes(size), 0

        async def read() -> None:
            nonlocal received
            async for _ in receiver.read_messages():
                received += 1

        reading = asyncio.create_task(read())
        batch, sent, began = batch_of(size), 0, time.process_time()
        while time.process_time() - began < seconds:
            for _ in range(batch):
                sender.send_bytes(message)
            sent += batch
            await sender.writer.drain()
            await asyncio.sleep(0)
        while received < sent:
            await asyncio.sleep(0)
        rate = sent / (time.process_time() - began)
        reading.cancel()
        sender.close()
        receiver.close()
    return rate


async def handshakes(seconds: float) -> float:
    """Handshakes a second of processor time, TCP connect included, both sides in this thread."""
    secret, count = secrets.token_bytes(32), 0
    async with Listener() as listener:
        began = time.process_time()
        while (elapsed := time.process_time() - began) < seconds:
            for side in await listener.pair(secret):
                side.writer.transport.abort()
            count += 1
    return count / elapsed
