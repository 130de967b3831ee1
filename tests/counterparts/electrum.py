"""Electrum 4.3.4 (Debian's package), its daemon with one regtest wallet, driven over its JSON-RPC.

Electrum dials, listens and keeps peers without a channel, but demands that the other side offers bit 7
(gossip_queries). It has no command to send a message or to drop one peer: its side of a conversation is what it
answers, and closing its wallet closes every connection. What it saw is in its own log (`log_file`), and each line of it
about a peer becomes an event here.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import re
import shutil
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from tests.counterparts.process import CommandFailed, Counterpart, CounterpartDied, CounterpartMissing

RPC_USER, RPC_PASSWORD = "leyden", "tests"
DEAD_SERVER = "127.0.0.1:1:t"
"""Electrum opens its Lightning port only when it is not offline, but it need not reach a server for that."""
PORT_ATTEMPTS = 5
DEBIAN_PYTHON = "/usr/bin/python3"
CHANGED = """
import runpy, sys
sys._ELECTRUM_RUNNING_VIA_RUNELECTRUM = True
from electrum.lnpeer import Peer
{}
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
CHANGES = {
    "unpaced": "Peer.DELAY_INC_MSG_PROCESSING_SLEEP = 0",
    "logs pings": "Peer.SPAMMY_MESSAGES = tuple(set(Peer.SPAMMY_MESSAGES) - {'ping', 'pong'})",
}
"""By option of `start`. Electrum rests 10 ms after each message, half a minute for 3,000; its own tests switch that off
as well. Pings and pongs are too many for its log unless it is told otherwise."""

LINES = (
    ("handshake", re.compile(r"handshake done for (?P<who>\S+)")),
    ("handshake failed", re.compile(r"handshake failure from incoming connection: (?P<reason>.*)")),
    ("init", re.compile(r"Received INIT")),
    ("heard", re.compile(r"Received (?P<what>PING|PONG)$")),
    ("said", re.compile(r"Sending (?P<what>PING|PONG)$")),
    ("message", re.compile(r"received unknown message from peer\. ignoring: .*msg_type=(?P<type>\d+)")),
    ("warning", re.compile(r"remote peer sent warning \[DO NOT TRUST THIS MESSAGE\]: (?P<text>.*)\. chan_id=")),
    ("error", re.compile(r"remote peer sent error \[DO NOT TRUST THIS MESSAGE\]: (?P<text>.*)\. chan_id=")),
    ("closed", re.compile(r"Disconnecting: (?P<reason>.*)")),
    ("port taken", re.compile(r"cannot listen for lightning p2p")),
)
"""Event and the words of Electrum's log that tell of it."""

LOGGER = re.compile(r"LNWallet, (?P<peer>[0-9a-f]{10})-(?P<connection>[0-9a-f]{8})")
"""The name of a peer's logger: ten digits of its node id, and a hash that differs with every connection."""


class Electrum(Counterpart):
    """Events: handshake, init, message (type; only odd types that it does not know), warning, error, closed (reason),
    and with the option "logs pings" heard and said (what: PING or PONG). Each has the words of its log as `line`.

    Events about a peer carry `peer` (the first ten hex digits of its node id) and `connection`.
    """

    name = "Electrum"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._rpc_socket = folder / "regtest" / "daemon_rpc_socket"
        self._rpc_ids = itertools.count(1)
        self._changes: list[str] = []

    # -- life

    @classmethod
    async def start(cls, folder: Path, *args: str) -> Self:
        """Makes a wallet in `folder` unless it has one, starts the daemon and returns once its Lightning port is open.

        `args` are names of CHANGES. Each attempt takes another free port: the one that was free may be taken when
        Electrum asks for it.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self = cls(folder)
        self._changes = [CHANGES[option] for option in args]
        try:
            if not (folder / "regtest" / "wallets").exists():
                await self._run_offline("create")
            for _ in range(PORT_ATTEMPTS):
                if await self._start_daemon(free_port()):
                    return self
                await self.stop()
            raise AssertionError(f"Electrum found none of {PORT_ATTEMPTS} ports free")
        except BaseException:
            await self.stop()
            raise

    def _command_line(self, *args: str) -> Sequence[str]:
        electrum = shutil.which("electrum")
        if electrum is None:
            raise CounterpartMissing("Electrum (Debian package electrum)", Path("/usr/bin/electrum"))
        changed = CHANGED.format("\n".join(self._changes))
        program = [DEBIAN_PYTHON, "-c", changed, electrum] if self._changes else [electrum]
        return [*program, "--regtest", "-D", str(self.folder), *args]

    async def _run_offline(self, *args: str) -> None:
        await self._launch(self._command_line("--offline", *args))
        process = self._process
        assert process is not None
        await asyncio.gather(*self._readers)
        if await process.wait() != 0:
            raise CounterpartDied(f"electrum {' '.join(args)} failed{self._tail()}")
        await self.stop()

    async def _start_daemon(self, port: int) -> bool:
        """Whether the daemon listens on `port`; False when the port is taken."""
        configuration = {
            "lightning_listen": f"127.0.0.1:{port}",
            "use_gossip": False,
            "log_to_file": True,
            "dynamic_fees": False,
            "fee_per_kb": 5000,
            "check_updates": False,
            "rpcuser": RPC_USER,
            "rpcpassword": RPC_PASSWORD,
            "config_version": 3,
        }
        (self.folder / "regtest" / "config").write_text(json.dumps(configuration))
        since = self.mark
        await self._launch(self._command_line("daemon", "--oneserver", "-s", DEAD_SERVER, "-v"))
        await self.wait_for(event="rpc ready", since=since)
        self.log_file = max((self.folder / "regtest" / "logs").glob("electrum_log_*.log"))
        await self.command("load_wallet")
        self.node_id = bytes.fromhex((await self.command("nodeid")).split("@")[0])
        self.port = port
        return await self._listens(since)

    async def _listens(self, since: int) -> bool:
        """Electrum does not log the moment at which its port is open, so the port itself is asked."""
        async with asyncio.timeout(30):
            while True:
                if self.seen(event="port taken", since=since):
                    return False
                with contextlib.suppress(ConnectionRefusedError):
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                    writer.close()
                    await writer.wait_closed()
                    await self.wait_for(event="handshake failed", since=since)
                    return True
                await asyncio.sleep(0.02)

    def _end(self, process: asyncio.subprocess.Process) -> None:
        super()._end(process)
        with contextlib.suppress(ProcessLookupError):
            process.terminate()

    # -- what it says

    def _take_output(self, line: str) -> None:
        self._stderr.append(line)

    def _take_error(self, line: str) -> None:
        """One line of `electrum -v`: `time | level | logger | message`."""
        self._stderr.append(line)
        logger, _, text = line.partition(" | ")[2].partition(" | ")[2].partition(" | ")
        if "CommandsServer" in logger and "now running and listening" in text:
            self._add({"event": "rpc ready"})
            return
        for event, words in LINES:
            if match := words.search(text):
                facts: dict[str, Any] = {"event": event, "line": text, **match.groupdict()}
                if where := LOGGER.search(logger):
                    facts |= where.groupdict()
                if "type" in facts:
                    facts["type"] = int(facts["type"])
                self._add(facts)
                return

    # -- what it is told

    async def command(self, command: str, *, timeout_s: float = 30.0, **args: Any) -> Any:
        """One command of Electrum's JSON-RPC, over its unix socket; raises CommandFailed with its own words."""
        body = json.dumps({"jsonrpc": "2.0", "id": next(self._rpc_ids), "method": command, "params": args}).encode()
        token = base64.b64encode(f"{RPC_USER}:{RPC_PASSWORD}".encode()).decode()
        head = (
            "POST / HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Authorization: Basic {token}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_unix_connection(str(self._rpc_socket))
            try:
                writer.write(head.encode() + body)
                answer = await reader.read()
            finally:
                writer.close()
                await writer.wait_closed()
        reply = json.loads(answer.partition(b"\r\n\r\n")[2])
        if "error" in reply:
            raise CommandFailed(command, reply["error"]["message"])
        return reply["result"]

    async def connect(self, node_id: bytes, port: int, host: str = "127.0.0.1") -> Any:
        """Lets Electrum dial; it answers before the handshake, so wait for its events."""
        return await self.command("add_peer", connection_string=f"{node_id.hex()}@{host}:{port}")

    async def disconnect(self, node_id: bytes) -> Any:
        """Electrum has no command for one peer: closing its wallet closes every connection and the port."""
        return await self.command("close_wallet")

    async def peers(self) -> list[dict[str, Any]]:
        """Electrum's own list: node_id, address, initialized, features, channels."""
        listed: list[dict[str, Any]] = await self.command("list_peers")
        return listed


def free_port() -> int:
    """A port of loopback that nobody has at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
