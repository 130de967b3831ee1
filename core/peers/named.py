"""Sockets to servers that are no peers, by host name, with the same care about the proxy."""

from __future__ import annotations

import asyncio
import errno
import socket

from core.bolt.address import Address, AddressKind
from core.peers.proxy import ProxyConfig, ProxyDialler

TIMEOUT_S = 60.0
"""Through the proxy: Tor may have to build a circuit."""


class NamedDialler:
    """Through the proxy goes everything when the user wants that, otherwise onion names alone; these never past it."""

    def __init__(self, config: ProxyConfig | None) -> None:
        self._config = config
        self._proxy = None if config is None else ProxyDialler(config, TIMEOUT_S)

    async def __call__(self, host: str, port: int) -> socket.socket:
        """A connected socket; OSError when there is none."""
        # With its dot at the end too, which says to a resolver that the name is whole.
        onion = host.lower().rstrip(".").endswith(".onion")
        if self._config is not None and self._proxy is not None and (onion or self._config.always):
            # A circuit of its own for each server, as for each peer.
            return await self._proxy.open(f"{host}:{port}".encode(), Address(AddressKind.UNRESOLVED, host, port))
        if onion:
            raise OSError(errno.EHOSTUNREACH, "an onion address is reached by a proxy alone")
        return await _direct(host, port)


async def _direct(host: str, port: int) -> socket.socket:
    loop = asyncio.get_running_loop()
    failed: OSError | None = None
    for family, kind, protocol, _, address in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        connection = socket.socket(family, kind, protocol)
        connection.setblocking(False)
        try:
            await loop.sock_connect(connection, address)
        except OSError as error:
            connection.close()
            failed = error
        except BaseException:
            connection.close()
            raise
        else:
            return connection
    raise failed or OSError(errno.EHOSTUNREACH, "the name has no address")
