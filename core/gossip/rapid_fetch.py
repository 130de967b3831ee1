"""A snapshot's bytes, from a file or over HTTP: through the user's proxy where there is one, bounded whatever comes."""

from __future__ import annotations

import asyncio
import importlib
import os
import socket
import ssl
import zlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from core.base.finish import finish
from core.gossip.errors import SnapshotRefused, SnapshotUnavailable
from core.gossip.rapid import MAX_BYTES
from core.storage.files import open_regular

if TYPE_CHECKING:
    import aiohttp

Dial = Callable[[str, int], Awaitable[socket.socket]]
"""Opens a connected socket to a host and port, in whatever way the user wants that. Raises OSError."""

TIMEOUT_S = 120.0
"""1.5 MB for all of mainnet, over Tor."""
_OK = 200
_GZIP = 16 + zlib.MAX_WBITS


def is_url(source: str) -> bool:
    """Otherwise it is a file's path."""
    return source.startswith(("https://", "http://"))


async def fetch_snapshot(source: str, since: int, dial: Dial) -> bytes:
    """What the file at `source` holds, or what the server there has since `since` (0: everything).

    Servers are asked as LDK's are: the time, in seconds since the epoch, follows the URL behind a slash. Raises
    SnapshotUnavailable, SnapshotRefused when it is longer than any network.
    """
    if not is_url(source):
        data = await finish(asyncio.to_thread(_read, source))
    else:
        data = await _get(source, f"{source.rstrip('/')}/{since}", dial)
    if len(data) > MAX_BYTES:
        raise SnapshotRefused(source=source, reason=f"has more than {MAX_BYTES} bytes")
    return data


def _read(path: str) -> bytes:
    try:
        with open_regular(Path(path).expanduser()) as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise SnapshotUnavailable(source=path, reason=error.strerror or str(error)) from None
    except RuntimeError:  # `~name` of nobody
        raise SnapshotUnavailable(source=path, reason="it is in nobody's home folder") from None


async def _get(source: str, url: str, dial: Dial) -> bytes:
    # Importing takes about 0.1 s, reading the system's authorities some 20 ms: neither is the loop's.
    aiohttp = await finish(asyncio.to_thread(importlib.import_module, "aiohttp"))
    context = await asyncio.to_thread(ssl.create_default_context)
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    try:
        async with (
            aiohttp.ClientSession(
                connector=_connector(dial, context),
                timeout=timeout,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
            ) as session,
            session.get(url, headers={"Accept-Encoding": "gzip"}, allow_redirects=False) as response,
        ):
            if response.status != _OK:
                reason = f"the server answers with HTTP status {response.status}"
                raise SnapshotUnavailable(source=source, reason=reason)
            body = await _body(response, source)
            packed = response.headers.get("Content-Encoding", "identity").lower()
    except TimeoutError:
        raise SnapshotUnavailable(source=source, reason=f"no answer within {TIMEOUT_S:.0f} s") from None
    except (OSError, aiohttp.ClientError) as error:
        raise SnapshotUnavailable(source=source, reason=_why(error)) from None
    if packed == "identity":
        return body
    return await asyncio.to_thread(_unpacked, body, packed, source)


async def _body(response: aiohttp.ClientResponse, source: str) -> bytes:
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > MAX_BYTES:
            raise SnapshotRefused(source=source, reason=f"has more than {MAX_BYTES} bytes")
    return bytes(body)


def _unpacked(body: bytes, packed: str, source: str) -> bytes:
    """One byte more than allowed at most, however much is packed in it."""
    if packed != "gzip":
        raise SnapshotRefused(source=source, reason="is packed in a way that was not asked for")
    unpacker = zlib.decompressobj(_GZIP)
    try:
        data = unpacker.decompress(body, MAX_BYTES + 1)
    except zlib.error:
        raise SnapshotRefused(source=source, reason="cannot be unpacked") from None
    if not unpacker.eof and len(data) <= MAX_BYTES:
        raise SnapshotRefused(source=source, reason="cannot be unpacked to its end")
    return data


def _connector(dial: Dial, context: ssl.SSLContext) -> aiohttp.BaseConnector:
    """aiohttp over sockets that `dial` opened; its own connectors look names up and go past a proxy."""
    from aiohttp.connector import BaseConnector

    class DialledConnector(BaseConnector):
        async def _create_connection(
            self, req: aiohttp.ClientRequest, traces: object, timeout: object
        ) -> aiohttp.client_proto.ResponseHandler:
            host, port, tls = req.connection_key.host, req.connection_key.port, req.connection_key.is_ssl
            sock = await dial(host, port or (443 if tls else 80))
            try:
                _, protocol = await asyncio.get_running_loop().create_connection(
                    self._factory, sock=sock, ssl=context if tls else None, server_hostname=host if tls else None
                )
            except BaseException:
                sock.close()
                raise
            return protocol

    return DialledConnector(force_close=True)


def _why(error: Exception) -> str:
    """In the system's words where it has any."""
    number = getattr(error, "errno", None)
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not good: {error.verify_message}"
    if isinstance(error, OSError) and number and not isinstance(error, socket.gaierror):
        return os.strerror(number)
    return getattr(error, "strerror", None) or str(error) or "the connection broke off"
