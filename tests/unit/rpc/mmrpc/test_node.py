"""mmrpc over the real node: enabled, activated, asked, and nothing left when it stops."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from core.base.settings import SettingInvalid, Settings, parse_arguments
from core.node import Node
from core.peers.errors import NotBanned
from tests.unit.rpc.mmrpc.parts import INIT, PASSWORD, STATUS


def _settings(home: Path, password: str = PASSWORD) -> Settings:
    path = home / "password"
    path.write_text(password, encoding="utf-8")
    os.chmod(path, 0o600)
    flags = ["--network", "regtest", "--data-dir", str(home / "d"), "--keystore", "memory", "--no-activate"]
    return parse_arguments([*flags, "--mmrpc", "127.0.0.1:0", "--rpc-password-file", str(path)], {})


async def test_a_node_that_waits_is_brought_up_by_init_alone(home: Path) -> None:
    node = Node(_settings(home))
    await node.start()
    assert node.mmrpc is not None
    port = node.mmrpc.port
    try:
        async with aiohttp.ClientSession() as http:

            async def ask(**request: object) -> Any:
                body = {"userpass": PASSWORD, **request}
                async with http.post(f"http://127.0.0.1:{port}/", json=body) as response:
                    return await response.json()

            params = {"ticker": "RBTC-lightning", "activation_params": {"name": "jar", "listening_port": 0}}
            init = {"mmrpc": "2.0", "method": INIT, "params": params}
            assert (await ask(**init))["error_type"] == "PlatformCoinIsNotActivated"
            assert (await ask(method="enable", coin="RBTC-segwit"))["result"] == "success"
            task_id = (await ask(**init))["result"]["task_id"]
            assert (await ask(**init))["error_type"] == "L2IsAlreadyActivated"
            status = {"method": STATUS, "params": {"task_id": task_id, "forget_if_finished": False}}
            async with asyncio.timeout(20):
                while (found := (await ask(**status))["result"])["status"] == "InProgress":
                    await asyncio.sleep(0.01)
            balance = {"spendable": "0", "unspendable": "0"}
            details = {"platform_coin": "RBTC-segwit", "address": node.node_id.hex(), "balance": balance}
            assert found == {"status": "Ok", "details": details}
    finally:
        await node.stop()
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", port))


async def test_a_ban_is_seen_and_lifted_through_the_node(home: Path) -> None:
    node = Node(_settings(home))
    await node.start()
    try:
        assert node.mmrpc is not None
        while node.mmrpc.attempts.wrong("127.0.0.1"):
            pass
        assert node.rpc_bans() == ("127.0.0.1",)
        node.lift_rpc_ban("127.0.0.1")
        assert node.rpc_bans() == ()
        with pytest.raises(NotBanned):
            node.lift_rpc_ban("127.0.0.1")
    finally:
        await node.stop()
    assert node.rpc_bans() == ()


async def test_a_weak_password_stops_the_start_of_the_node_which_lets_go_of_everything(home: Path) -> None:
    with pytest.raises(SettingInvalid, match="too weak"):
        await Node(_settings(home, "weak")).start()
    node = Node(_settings(home))
    await node.start()
    await node.stop()
