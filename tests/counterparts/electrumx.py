"""ElectrumX 2.0 (PyPI's e-x), an Electrum server over a bcoin node."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.counterparts.bcoin import Bcoin
from tests.counterparts.electrum import PORT_ATTEMPTS, free_port
from tests.counterparts.process import REPOSITORY, Counterpart, required

LISTENS = re.compile(r"(TCP|SSL) server listening on 127\.0\.0\.1:\d+")
TAKEN = re.compile(r"server failed to listen")
POLL_MS = 100
"""How often it asks its node for a new block."""


class ElectrumX(Counterpart):
    """Events: ready, port taken. Its database is in `folder`, which must be fresh whenever the node's chain is."""

    name = "ElectrumX"
    host = "127.0.0.1"
    tls = False

    @classmethod
    async def start(cls, folder: Path, bcoin: Bcoin | None = None, *, tls: bool = False, port: int = 0) -> Self:
        """Starts a server over `bcoin` and returns once it listens: on `port`, or on a free one.

        With `tls` its certificate is its own (`certificate.pem` in `folder`), made anew where there is none.
        """
        assert bcoin is not None, "ElectrumX needs a node"
        folder.mkdir(parents=True, exist_ok=True)
        self = cls(folder)
        self.tls = tls
        try:
            for _ in range(PORT_ATTEMPTS):
                since = self.mark
                self.port = port or free_port()
                self.environment = self._settings(bcoin)
                await self._launch(self._command_line())
                said = await self.wait_for(since=since, event=lambda event: event in ("ready", "port taken"))
                if said["event"] == "ready":
                    return self
                await self.stop()
        except BaseException:
            await self.stop()
            raise
        raise AssertionError(f"ElectrumX found none of {PORT_ATTEMPTS} ports free")

    @property
    def address(self) -> str:
        """As Electrum writes servers: host:port:s with TLS, :t without."""
        return f"{self.host}:{self.port}:{'s' if self.tls else 't'}"

    def _command_line(self, *args: str) -> Sequence[str]:
        default = REPOSITORY / ".bootstrap" / "electrumx" / "bin" / "python"
        python = Path(os.environ.get("LEYDEN_ELECTRUMX_PYTHON", default))
        program = required("ElectrumX (PyPI e-x)", python.with_name("electrumx_server"))
        return [str(python), str(program)]

    def _settings(self, bcoin: Bcoin) -> dict[str, str]:
        database = self.folder / "database"
        database.mkdir(exist_ok=True)
        settings = {
            "COIN": "Bitcoin",
            "NET": "regtest",
            "DB_ENGINE": "leveldb",
            "DB_DIRECTORY": str(database),
            "DAEMON_URL": bcoin.url,
            "SERVICES": f"{'ssl' if self.tls else 'tcp'}://{self.host}:{self.port}",
            "PEER_DISCOVERY": "off",
            "PEER_ANNOUNCE": "",
            "ALLOW_ROOT": "1",
            "COST_SOFT_LIMIT": "0",
            "COST_HARD_LIMIT": "0",
            "DAEMON_POLL_INTERVAL_BLOCKS": str(POLL_MS),
            "DAEMON_POLL_INTERVAL_MEMPOOL": str(POLL_MS),
            "CACHE_MB": "50",
        }
        if self.tls:
            certificate, key = self.folder / "certificate.pem", self.folder / "key.pem"
            if not certificate.exists():
                self_signed(certificate, key)
            settings |= {"SSL_CERTFILE": str(certificate), "SSL_KEYFILE": str(key)}
        return settings

    def _end(self, process: asyncio.subprocess.Process) -> None:
        super()._end(process)
        with contextlib.suppress(ProcessLookupError):
            process.terminate()

    def _take_output(self, line: str) -> None:
        self._take_error(line)
        if LISTENS.search(line):
            self._add({"event": "ready"})
        elif TAKEN.search(line):
            self._add({"event": "port taken"})

    async def command(self, command: str, *, timeout_s: float = 30.0, **args: Any) -> Any:
        raise NotImplementedError("ElectrumX is spoken to over its port")


def self_signed(certificate: Path, key: Path, host: str = "127.0.0.1") -> None:
    """Writes a key and its certificate for `host`, as an operator makes them who asks no authority."""
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address(host))]), critical=False)
        .sign(private, hashes.SHA256())
    )
    certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    key.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
