"""The counterparts among themselves: what they report is what happened, before anything of ours is judged by it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.counterparts import CounterpartDied, CounterpartMissing, Electrum, Ldk, PylnPeer

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
