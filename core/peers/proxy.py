"""Connections through a SOCKS5 proxy such as Tor: names go to it unresolved, and each peer has a circuit of its own."""

from __future__ import annotations

import errno
import hashlib
import hmac
import secrets
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from python_socks import ProxyError, ProxyTimeoutError, ProxyType
from python_socks.async_.asyncio import Proxy

from core.bolt.address import Address, AddressKind

_ONLY_BY_PROXY = (AddressKind.TORV3, AddressKind.UNRESOLVED)
_UNKNOWN_CODE = "Invalid reply code: "
_REPLIES = {
    1: "general SOCKS server failure",
    2: "connection not allowed by ruleset",
    3: "network unreachable",
    4: "host unreachable",
    5: "connection refused",
    6: "TTL expired",
    7: "command not supported",
    8: "address type not supported",
}
"""CLN's words for what RFC 1928 numbers (tor.c:41)."""


@dataclass(frozen=True, slots=True)
class ProxyConfig:
    """The proxy that the user named."""

    host: str
    """An IP address: a name would have to be resolved past the proxy."""
    port: int
    always: bool = False
    """Everything goes through it, IP addresses too; without this only what nothing else can reach."""


class ProxyRefused(ConnectionRefusedError):
    """The proxy is there and says no. `reply` is CLN's word for its answer."""

    def __init__(self, reply: str) -> None:
        super().__init__(errno.ECONNREFUSED, "Connection refused")
        self.reply = reply


class ProxyDialler:
    """Opens sockets to peers through one proxy."""

    def __init__(self, config: ProxyConfig, timeout_s: float) -> None:
        self._config = config
        self._timeout_s = timeout_s
        self._secret = secrets.token_bytes(32)

    async def open(self, node_id: bytes, address: Address) -> socket.socket:
        """A connected socket; OSError when there is none, ProxyRefused when the proxy itself said so.

        Tor gives streams with other credentials another circuit, so two peers cannot be told to be of one node. The
        credentials are of this run of the node alone.
        """
        digest = hmac.digest(self._secret, node_id, hashlib.sha256).hex()
        proxy = Proxy(
            ProxyType.SOCKS5,
            self._config.host,
            self._config.port,
            username=digest[:32],
            password=digest[32:],
            rdns=True,
        )
        try:
            return await proxy.connect(address.host, address.port, timeout=self._timeout_s)
        except ProxyTimeoutError:
            raise TimeoutError(errno.ETIMEDOUT, "Connection timed out") from None
        except ProxyError as error:
            raise ProxyRefused(_reply(error)) from None
        except UnicodeError:
            raise ProxyRefused(_REPLIES[8]) from None


def needs_proxy(address: Address, config: ProxyConfig | None) -> bool:
    """Whether this address is never dialled but through a proxy. A local socket never leaves this computer."""
    if address.kind in _ONLY_BY_PROXY:
        return True
    return config is not None and config.always and address.kind is not AddressKind.LOCAL


def led_by_onion(addresses: Sequence[Address]) -> list[Address]:
    """The addresses in their order; after an onion in first place only such as the proxy alone can reach.

    Who reaches a peer by its onion address does not want to be seen at the others.
    """
    if addresses and addresses[0].kind is AddressKind.TORV3:
        return [address for address in addresses if address.kind in _ONLY_BY_PROXY]
    return list(addresses)


def _reply(error: ProxyError) -> str:
    if error.error_code is not None:
        return _REPLIES.get(int(error.error_code), f"unknown error: {int(error.error_code)}")
    text = str(error)
    if text.startswith(_UNKNOWN_CODE):
        return f"unknown error: {int(text.removeprefix(_UNKNOWN_CODE), 16)}"
    return text or "peer closed connection"
