"""The chain sources that a node can stand on, each with its real counterpart."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.acceptance.mmrpc_program import PASSWORD, private_file
from tests.counterparts import Bcoin, Counterpart, ElectrumX

BLOCKS = 110
NAMES = ("embedded", "electrumx", "bitcoin-rpc")


@dataclass(frozen=True, slots=True)
class Backend:
    """One of `NAMES`, running."""

    name: str
    settings: tuple[str, ...]
    """Options of the program, for its own start."""
    enable: dict[str, Any]
    """The request that enables RBTC-segwit on it."""
    counterparts: tuple[Counterpart, ...] = ()


@asynccontextmanager
async def backend(name: str, folder: Path, blocks: int = BLOCKS) -> AsyncIterator[Backend]:
    """Start it in `folder`, with so many blocks."""
    async with AsyncExitStack() as stack:
        if name == "embedded":
            yield Backend(name, ("--chain-source", "embedded"), _request("enable"))
            return
        bcoin = await stack.enter_async_context(await Bcoin.start(folder / "bcoin"))
        await bcoin.set_fee(5_000)
        await bcoin.mine(blocks)
        if name == "electrumx":
            electrumx = await stack.enter_async_context(await ElectrumX.start(folder / "electrumx", bcoin))
            server = {"url": f"{electrumx.host}:{electrumx.port}", "protocol": "TCP"}
            settings = ("--chain-source", "electrum", "--electrum-server", electrumx.address)
            yield Backend(name, settings, _request("electrum", servers=[server]), (bcoin, electrumx))
            return
        password = private_file(folder / "core-password", bcoin.password)
        named = ("--bitcoin-rpc", f"127.0.0.1:{bcoin.rpc_port}", "--bitcoin-rpc-user", "leyden")
        settings = ("--chain-source", "bitcoin-rpc", *named, "--bitcoin-rpc-password-file", str(password))
        yield Backend(name, settings, _request("enable"), (bcoin,))


def _request(method: str, **fields: Any) -> dict[str, Any]:
    return {"userpass": PASSWORD, "method": method, "coin": "RBTC-segwit", **fields}


def shown(enable: dict[str, Any]) -> str:
    """The request for a report, without its password."""
    return json.dumps({key: value for key, value in enable.items() if key != "userpass"})
