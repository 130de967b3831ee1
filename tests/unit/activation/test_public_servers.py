"""The Electrum servers for who named none."""

from __future__ import annotations

import asyncio
import json
from importlib import resources
from pathlib import Path

import pytest

from core.activation.sources import chosen_source, public_servers
from core.base.settings import parse_arguments
from core.bolt.networks import NETWORKS
from core.chain.electrum_protocol import parse_server
from core.chain.errors import ChainUnavailable
from core.node import Node
from tests.support.socks_double import guard, socks_double


def test_the_public_servers_are_several_for_each_network_and_speak_tls() -> None:
    data = json.loads(resources.files("resources").joinpath("electrum_servers.json").read_bytes())
    assert set(data) == {"source", "servers"}
    assert isinstance(data["source"], str)
    assert set(data["servers"]) == set(NETWORKS) - {"regtest"}
    for network in NETWORKS.values():
        servers = [parse_server(text) for text in public_servers(network)]
        if network.name == "regtest":
            assert servers == []
            continue
        assert 3 <= len(servers) <= 6
        assert all(server.tls for server in servers)
        # Kept by different people: one who is away takes no other along.
        assert len({server.host.split(".", 1)[-1] for server in servers}) == len(servers)


async def test_the_public_servers_are_asked_at_activation_alone_and_through_the_users_proxy(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with socks_double() as double:
        arguments = ["--network", "signet", "--data-dir", str(home / "d"), "--keystore", "memory"]
        node = Node(parse_arguments([*arguments, "--proxy", f"127.0.0.1:{double.port}", "--always-use-proxy"]))
        with guard(monkeypatch) as past:
            await node.start()
            try:
                await asyncio.sleep(0)
                assert double.asked == []
                with pytest.raises(ChainUnavailable):
                    await node.activator.enable("sBTC-segwit", chosen_source(node.settings, node.network))
            finally:
                await node.stop()
        wanted = {(server.host, server.port) for server in map(parse_server, public_servers(node.network))}
        assert {(asked.host, asked.port) for asked in double.asked} == wanted
        assert past.resolved == []
        assert past.connected == [("127.0.0.1", double.port)] * len(past.connected)
