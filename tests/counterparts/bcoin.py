"""bcoin, a Bitcoin full node on regtest: what Bitcoin Core's RPC clients, and ElectrumX, are tested against."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import aiohttp

from tests.counterparts.electrum import PORT_ATTEMPTS, free_port
from tests.counterparts.process import (
    REPOSITORY,
    CommandFailed,
    Counterpart,
    CounterpartDied,
    CounterpartMissing,
    required,
)

SCRIPT = Path(__file__).with_name("regtest_node.js")
SEGWIT_HEIGHT = 432
"""From here on bcoin takes transactions with witnesses."""
MINER = "bcrt1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqdku202"
"""Where `mine` sends its coins unless told otherwise: a key hash of zeros, which nobody can spend."""


class Bcoin(Counterpart):
    """A regtest node whose chain is in memory: a new start is a new chain.

    User of its RPC: any; `password` is made for each node. Without `set_fee` it has no fee estimates.
    """

    name = "bcoin"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.password = secrets.token_hex(16)
        self.environment = {"BCOIN_PASSWORD": self.password}
        self.rpc_port = 0
        self.p2p_port = 0

    @classmethod
    async def start(cls, folder: Path, *args: str) -> Self:
        """Starts the node and returns once its RPC answers; other free ports are tried when one was taken meanwhile."""
        folder.mkdir(parents=True, exist_ok=True)
        self = cls(folder)
        for attempt in range(1, PORT_ATTEMPTS + 1):
            self.rpc_port, self.p2p_port = free_port(), free_port()
            try:
                await self._launch(self._command_line(str(self.rpc_port), str(self.p2p_port)))
                await self.wait_for(event="ready")
                return self
            except CounterpartDied:
                await self.stop()
                if attempt == PORT_ATTEMPTS or "EADDRINUSE" not in "\n".join(self._stderr):
                    raise
            except BaseException:
                await self.stop()
                raise
        raise AssertionError("the last attempt returns or raises")

    def _command_line(self, *args: str) -> Sequence[str]:
        packages = Path(os.environ.get("LEYDEN_BCOIN_DIR", REPOSITORY / ".bootstrap" / "bcoin"))
        required("bcoin (npm bcoin)", packages / "node_modules" / "bcoin" / "package.json")
        node = shutil.which("node")
        if node is None:
            raise CounterpartMissing("Node.js", Path("/usr/bin/node"))
        return [node, str(SCRIPT), str(packages), *args]

    @property
    def url(self) -> str:
        """Of the RPC, with its password."""
        return f"http://leyden:{self.password}@127.0.0.1:{self.rpc_port}/"

    async def rpc(self, method: str, *params: Any) -> Any:
        """One call of the node's RPC; raises CommandFailed with the node's own words."""
        body = {"id": 1, "method": method, "params": params}
        timeout = aiohttp.ClientTimeout(total=15.0)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post(self.url, json=body) as response,
        ):
            answer = await response.json(content_type=None)
        if answer.get("error"):
            raise CommandFailed(method, str(answer["error"]["message"]))
        return answer["result"]

    async def mine(self, blocks: int = 1, address: str = MINER) -> list[str]:
        """Adds blocks to the best chain; their hashes as explorers print them."""
        hashes: list[str] = await self.rpc("generatetoaddress", blocks, address)
        return hashes

    async def reorganise(self, depth: int, blocks: int) -> list[str]:
        """Replaces the last `depth` blocks by `blocks` others; hashes of the new ones."""
        height = await self.rpc("getblockcount")
        await self.rpc("invalidateblock", await self.rpc("getblockhash", height - depth + 1))
        return await self.mine(blocks)

    async def set_fee(self, sat_per_kvb: int | None) -> None:
        """What `estimatesmartfee` gives for every target from now on; None: that it knows nothing."""
        await self.command("fee", sat_per_kvb=sat_per_kvb)
