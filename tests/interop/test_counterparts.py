"""The counterparts among themselves: what they report is what happened, before anything of ours is judged by it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest
from aiorpcx import RPCSession, connect_rs

from tests.counterparts import Bcoin, CounterpartDied, CounterpartMissing, Electrum, ElectrumX, Ldk, PylnPeer

CUSTOM = 40_001
PAST_ROTATION = 3_100


async def test_ldk_and_pyln_exchange_custom_messages_past_the_rotation_both_ways(tmp_path: Path) -> None:
    async with await Ldk.start(tmp_path / "ldk") as ldk, await PylnPeer.start(tmp_path / "pyln") as pyln:
        await pyln.connect(ldk.node_id, ldk.port)
        await ldk.wait_for(event="init", node_id=pyln.node_id.hex(), inbound=True)
        await pyln.send(CUSTOM.to_bytes(2, "big") + b"hello")
        await ldk.wait_for(event="message", type=CUSTOM, payload=b"hello".hex())
        await pyln.command("send_many", type=CUSTOM, count=PAST_ROTATION)
        await ldk.wait_for(event="message", payload=(PAST_ROTATION - 1).to_bytes(8, "big").hex())
        await ldk.command("send_many", type=CUSTOM, count=PAST_ROTATION, node_id=pyln.node_id.hex())
        await pyln.wait_for(event="message", payload=(PAST_ROTATION - 1).to_bytes(8, "big").hex())
        assert len(pyln.seen(event="message", type=CUSTOM)) == PAST_ROTATION


async def test_ldk_dials_and_hangs_up(tmp_path: Path) -> None:
    async with await Ldk.start(tmp_path / "ldk") as ldk, await PylnPeer.start(tmp_path / "pyln") as pyln:
        await ldk.connect(pyln.node_id, pyln.port)
        await pyln.wait_for(event="handshake", node_id=ldk.node_id.hex(), inbound=True)
        await ldk.wait_for(event="init", inbound=False)
        await ldk.command("ping")
        await pyln.wait_for(event="message", type=18)
        await ldk.disconnect(pyln.node_id)
        await pyln.wait_for(event="closed")


async def test_electrum_logs_what_pyln_sends_and_dials_back(tmp_path: Path) -> None:
    async with (
        await Electrum.start(tmp_path / "electrum") as electrum,
        await PylnPeer.start(tmp_path / "pyln", "--features", "20000080a282") as pyln,
    ):
        await pyln.connect(electrum.node_id, electrum.port)
        await electrum.wait_for(event="init")
        await pyln.send(CUSTOM.to_bytes(2, "big"))
        await electrum.wait_for(event="message", type=CUSTOM)
        assert [peer["node_id"] for peer in await electrum.peers()] == [pyln.node_id.hex()]
        await pyln.disconnect(electrum.node_id)
        await electrum.wait_for(event="closed")
        await electrum.connect(pyln.node_id, pyln.port)
        await pyln.wait_for(event="handshake", inbound=True)


class Subscriber(RPCSession):
    """Keeps the tips that a server tells of."""

    def __init__(self, transport: Any) -> None:
        super().__init__(transport)
        self.tips: asyncio.Queue[int] = asyncio.Queue()

    async def handle_request(self, request: Any) -> None:
        self.tips.put_nowait(request.args[0]["height"])


async def test_electrumx_follows_the_chain_of_bcoin_through_a_reorganisation(tmp_path: Path) -> None:
    async with await Bcoin.start(tmp_path / "bcoin") as bcoin:
        await bcoin.mine(5)
        async with (
            await ElectrumX.start(tmp_path / "electrumx", bcoin) as server,
            connect_rs(server.host, server.port, session_factory=Subscriber) as session,
        ):
            await session.send_request("server.version", ["tests", "1.4"])
            assert (await session.send_request("blockchain.headers.subscribe"))["height"] == 5
            await bcoin.reorganise(2, 3)
            assert await bcoin.rpc("getblockcount") == 6
            async with asyncio.timeout(30):
                while await session.tips.get() != 6:
                    pass


async def test_a_counterpart_that_is_not_installed_names_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEYDEN_LDK_DIR", str(tmp_path))
    monkeypatch.setenv("LEYDEN_PYLN_PYTHON", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    for kind in (Ldk, PylnPeer, Electrum):
        with pytest.raises(CounterpartMissing, match=r"python3 packaging/bootstrap\.py test"):
            await kind.start(tmp_path / kind.name)


async def test_waiting_for_a_counterpart_that_died_ends_at_once(tmp_path: Path) -> None:
    async with await PylnPeer.start(tmp_path / "pyln") as pyln:
        os.kill(pyln.pid, 9)
        with pytest.raises(CounterpartDied):
            await pyln.wait_for(event="handshake")


async def test_waiting_for_what_does_not_come_shows_what_came(tmp_path: Path) -> None:
    async with await PylnPeer.start(tmp_path / "pyln") as pyln:
        with pytest.raises(AssertionError, match="ready"):
            await pyln.wait_for(event="handshake", timeout_s=0.05)
