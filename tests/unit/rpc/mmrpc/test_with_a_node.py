"""A whole node by mmrpc alone: its coins, its activation with the errors of init, peers and channel records."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from core.base.settings import parse_arguments
from core.bolt.address import Address, AddressKind
from core.channels.records import Opener
from core.channels.states import ChannelState
from core.node import Node
from tests.support.socks_double import guard, socks_double
from tests.unit.channels.test_records import RECORD

PASSWORD = "RPC_UserP@SSW0RD"
INIT = "task::enable_lightning::init"
WAIT_S = 20.0


class Web:
    """One node, spoken to by HTTP."""

    def __init__(self, node: Node, http: aiohttp.ClientSession) -> None:
        self.node = node
        assert node.mmrpc is not None
        self._url = f"http://127.0.0.1:{node.mmrpc.port}/"
        self._http = http

    async def call(self, method: str, params: object) -> tuple[int, Any]:
        return await self._post({"mmrpc": "2.0", "method": method, "params": params, "id": 2})

    async def legacy(self, method: str, **more: object) -> tuple[int, Any]:
        return await self._post({"method": method, **more})

    async def _post(self, body: dict[str, object]) -> tuple[int, Any]:
        async with self._http.post(self._url, json={"userpass": PASSWORD, **body}) as answer:
            return answer.status, await answer.json(content_type=None)

    async def init(self, ticker: str = "RBTC-lightning", **params: object) -> tuple[int, Any]:
        asked = {"name": "KomoDeFi-Docs-Node-1", "listening_port": 0, "color": "0A0b0C", **params}
        return await self.call(INIT, {"ticker": ticker, "activation_params": asked})

    async def end_of(self, task_id: int) -> Any:
        """Polled as the contract has it."""
        async with asyncio.timeout(WAIT_S):
            while True:
                _, body = await self.call("task::enable_lightning::status", {"task_id": task_id})
                if body["result"]["status"] != "InProgress":
                    return body["result"]
                await asyncio.sleep(0.01)

    async def up(self, **params: Any) -> None:
        await self.legacy("enable", coin="RBTC-segwit")
        _, body = await self.init(**params)
        assert (await self.end_of(body["result"]["task_id"]))["status"] == "Ok"


@asynccontextmanager
async def served(home: Path, *more: str, network: str = "regtest", coins: object = None) -> AsyncIterator[Web]:
    """With `--no-activate`: nothing is up until it is asked for."""
    password = home / "password"
    password.touch(mode=0o600)
    password.write_text(PASSWORD)
    if coins is not None:
        (home / "d").mkdir()
        (home / "d" / "coins.json").write_text(json.dumps(coins))
    arguments = ["--network", network, "--data-dir", str(home / "d"), "--keystore", "memory", "--no-activate"]
    settings = parse_arguments([*arguments, "--mmrpc", "127.0.0.1:0", "--rpc-password-file", str(password), *more])
    node = Node(settings)
    await node.start()
    try:
        async with aiohttp.ClientSession() as http:
            yield Web(node, http)
    finally:
        await node.stop()


def error_of(answer: tuple[int, Any]) -> tuple[int, str, str, object]:
    status, body = answer
    return status, body["error_type"], body["error"], body.get("error_data")


async def test_the_seeds_own_story_on_regtest(home: Path) -> None:
    async with served(home) as web:
        assert await web.legacy("get_enabled_coins") == (200, {"result": []})
        assert await web.legacy("enable", coin="RBTC-segwit") == (
            200,
            {
                "result": "success",
                "balance": "0",
                "unspendable_balance": "0",
                "coin": "RBTC-segwit",
                "required_confirmations": 0,
                "requires_notarization": False,
            },
        )
        status, body = await web.init()
        assert (status, list(body), body["id"]) == (200, ["mmrpc", "result", "id"], 2)
        ended = await web.end_of(body["result"]["task_id"])
        assert ended == {
            "status": "Ok",
            "details": {
                "platform_coin": "RBTC-segwit",
                "address": web.node.node_id.hex(),
                "balance": {"spendable": "0", "unspendable": "0"},
            },
        }
        assert (web.node.alias, web.node.color) == ("KomoDeFi-Docs-Node-1", "0a0b0c")
        assert await web.legacy("my_balance", coin="RBTC-lightning") == (
            200,
            {
                "coin": "RBTC-lightning",
                "balance": "0",
                "unspendable_balance": "0",
                "address": web.node.node_id.hex(),
            },
        )
        assert await web.call("get_enabled_coins", {}) == (
            200,
            {"mmrpc": "2.0", "result": {"coins": [{"ticker": "RBTC-segwit"}, {"ticker": "RBTC-lightning"}]}, "id": 2},
        )


async def test_disabled_and_enabled_again_it_has_the_same_address_and_the_platform_waits_for_it(home: Path) -> None:
    async with served(home) as web:
        await web.up()
        address, (bound,) = web.node.node_id.hex(), web.node.peers.bound
        gone = {"coin": "RBTC-lightning", "cancelled_orders": [], "passivized": False}
        assert await web.legacy("disable_coin", coin="RBTC-lightning") == (200, {"result": gone})
        with socket.create_server((bound.host, bound.port)):
            pass  # the port is free
        _, body = await web.init()
        assert (await web.end_of(body["result"]["task_id"]))["details"]["address"] == address
        _, body = await web.legacy("disable_coin", coin="RBTC-segwit")
        assert body == {"result": {"coin": "RBTC-segwit", "cancelled_orders": [], "passivized": True}}
        assert web.node.active, "what stands on it goes on"
        assert await web.legacy("disable_coin", coin="RBTC-segwit") == (200, body), "passive as it is"
        assert (await web.legacy("my_balance", coin="RBTC-segwit"))[0] == 500
        await web.legacy("disable_coin", coin="RBTC-lightning")
        assert error_of(await web.init())[1] == "PlatformCoinIsNotActivated", "passive is not active"
        _, body = await web.legacy("disable_coin", coin="RBTC-segwit", force_disable=True)
        assert body["result"]["passivized"] is False
        status, body = await web.legacy("disable_coin", coin="RBTC-segwit")
        assert (status, "No such coin: RBTC-segwit" in body["error"]) == (500, True)


async def test_what_cannot_be_a_source_is_refused_in_words_that_say_which(home: Path) -> None:
    async with served(home, network="testnet") as web:
        status, body = await web.legacy("electrum", coin="tBTC-segwit", servers=[{"url": "nowhere"}])
        assert (status, "nowhere is not HOST:PORT" in body["error"]) == (500, True), body
        status, body = await web.legacy("enable", coin="tBTC-segwit")
        assert (status, "no Bitcoin Core is set for testnet" in body["error"]) == (500, True), body


async def test_force_takes_lightning_down_with_its_platform(home: Path) -> None:
    async with served(home) as web:
        await web.up()
        _, body = await web.legacy("disable_coin", coin="RBTC-segwit", force_disable=True)
        assert body["result"]["passivized"] is False
        assert not web.node.active
        assert await web.legacy("get_enabled_coins") == (200, {"result": []})


LIGHTNING = {
    "coin": "X-lightning",
    "decimals": 11,
    "protocol": {
        "type": "LIGHTNING",
        "protocol_data": {
            "platform": "X-segwit",
            "network": "regtest",
            "confirmation_targets": {"background": 12, "normal": 6, "high_priority": 1},
        },
    },
}


def platform(**more: object) -> dict[str, object]:
    return {
        "coin": "X-segwit",
        "protocol": {"type": "UTXO"},
        "address_format": {"format": "segwit"},
        "avg_blocktime": 600,
    } | more


async def test_what_init_refuses_in_the_contracts_order(home: Path) -> None:
    async with served(home) as web:
        assert error_of(await web.init("tBTC-lightning")) == (
            400,
            "L2ConfigIsNotFound",
            "Layer 2 tBTC-lightning config is not found",
            "tBTC-lightning",
        ), "of another network"
        assert error_of(await web.init("RBTC-segwit")) == (
            400,
            "UnexpectedL2Protocol",
            "Unexpected layer 2 protocol UTXO for RBTC-segwit",
            {"ticker": "RBTC-segwit", "protocol": {"type": "UTXO"}},
        )
        assert error_of(await web.init(name="x" * 33))[1] == "PlatformCoinIsNotActivated", "the coin is looked at first"
        await web.legacy("enable", coin="RBTC-segwit")
        assert error_of(await web.init("RBTC-segwit"))[1] == "L2IsAlreadyActivated"
        long = error_of(await web.init(name="ü" * 17, color="#"))
        assert long[:3] == (500, "Internal", "Invalid request: Node name length can't be more than 32 characters")
        for color in ("", "abc", "#000000", "0000000", "gggggg"):
            assert error_of(await web.init(color=color))[2] == "Invalid request: Invalid Hex Color"
        await web.up(name="ü" * 16)
        assert error_of(await web.init()) == (
            400,
            "L2IsAlreadyActivated",
            "Layer 2 RBTC-lightning is already activated",
            "RBTC-lightning",
        )


async def test_what_init_refuses_of_the_platform_coin(home: Path) -> None:
    over = LIGHTNING | {"coin": "Y-lightning", "protocol": _on("RBTC-lightning")}
    coins = [platform(avg_blocktime="600", address_format={"format": "standard"}), LIGHTNING, over]
    async with served(home, coins=coins) as web:
        await web.legacy("enable", coin="X-segwit")
        assert error_of(await web.init("X-lightning"))[2] == "Lightning network is only supported in segwit mode"
        await web.up()
        assert error_of(await web.init("Y-lightning")) == (
            500,
            "UnsupportedPlatformCoin",
            "RBTC-lightning is not a platform coin for layer 2 Y-lightning",
            {"platform_coin_ticker": "RBTC-lightning", "l2_ticker": "Y-lightning"},
        )


def _on(ticker: str) -> dict[str, Any]:
    protocol: dict[str, Any] = LIGHTNING["protocol"]  # type: ignore[assignment]
    return protocol | {"protocol_data": protocol["protocol_data"] | {"platform": ticker}}


async def test_a_platform_without_a_block_time_is_told_as_in_the_seed(home: Path) -> None:
    async with served(home, coins=[platform(avg_blocktime=None), LIGHTNING]) as web:
        await web.legacy("enable", coin="X-segwit")
        words = "'avg_blocktime' field is not found in platform coin config"
        assert error_of(await web.init("X-lightning")) == (
            500,
            "InvalidPlatformConfiguration",
            f"Invalid config for platform coin: X-segwit, error: {words}",
            {"platform_coin_ticker": "X-segwit", "err": words},
        )


async def test_of_two_inits_at_once_the_second_is_refused_and_leaves_the_first_alone(home: Path) -> None:
    async with served(home) as web:
        await web.legacy("enable", coin="RBTC-segwit")
        answers = await asyncio.gather(*(web.init() for _ in range(4)))
        refused = [error_of(answer) for answer in answers if answer[0] != 200]
        assert [kind for _, kind, _, _ in refused] == ["L2IsAlreadyActivated"] * 3
        (began,) = (body["result"]["task_id"] for status, body in answers if status == 200)
        assert (await web.end_of(began))["status"] == "Ok"


async def test_a_taken_port_is_told_by_the_status_and_the_platform_coin_stays(home: Path) -> None:
    async with served(home) as web:
        await web.legacy("enable", coin="RBTC-segwit")
        with socket.create_server(("127.0.0.1", 0)) as taken:
            _, body = await web.init(listening_port=taken.getsockname()[1])
            ended = await web.end_of(body["result"]["task_id"])
        assert ended["status"] == "Error"
        assert ended["details"]["error"] == "I/O error Address already in use (os error 98)"
        assert await web.legacy("get_enabled_coins") == (200, {"result": [{"ticker": "RBTC-segwit"}]})
        await web.up()


async def test_the_second_enable_and_an_unknown_coin_are_refused(home: Path) -> None:
    async with served(home) as web:
        await web.legacy("enable", coin="RBTC-segwit")
        for coin, words in (
            ("RBTC-segwit", "Coin RBTC-segwit already initialized"),
            ("BTC-segwit", "No such coin: BTC-segwit"),
            ("RBTC-lightning", "No such coin: RBTC-lightning"),
        ):
            status, body = await web.legacy("enable", coin=coin)
            assert (status, words in body["error"]) == (500, True), body
        status, body = await web.legacy("my_balance", coin="X")
        assert (status, body) == (500, {"error": "rpc:195] RPC call failed: legacy:239] No such coin: X"})


UNKNOWN_NAME = "failed to lookup address information: Name or service not known"


async def look_up(name: str, port: int) -> list[Address]:
    """One name with an address, one without any, and nothing else."""
    known = {"peer.test": [Address(AddressKind.IPV4, "127.0.0.1", port)], "empty.test": []}
    if name not in known:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    return known[name]


async def test_the_name_of_a_node_is_looked_up_and_its_first_address_told(home: Path) -> None:
    async with served(home, "--demo") as web:
        await web.up()
        web.node.peers.resolver = look_up
        uri = str(web.node.practice_peers[0].uri)
        asked = {"coin": "RBTC-lightning", "node_address": uri.replace("127.0.0.1", "peer.test") + "@more"}
        for words in ("Connected successfully to node :", "Already connected to node:"):
            _, body = await web.call("lightning::nodes::connect_to_node", asked)
            assert body["result"] == f"{words} {uri}"


async def test_no_name_of_a_node_is_looked_up_past_the_proxy(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with guard(monkeypatch) as past:
        async with socks_double() as double:
            always = ("--proxy", f"127.0.0.1:{double.port}", "--always-use-proxy")
            async with served(home, *always) as web:
                await web.up()
                node = "03f307325e1d037f92ce3655ef5e1438f132a4bd95f4756f779b8f8e7b0d31c5f0"
                asked = {"coin": "RBTC-lightning", "node_address": f"{node}@node.test:9735"}
                assert error_of(await web.call("lightning::nodes::connect_to_node", asked))[1] == "ConnectionError"
            assert [(each.host, each.port) for each in double.asked] == [("node.test", 9735)]
    assert past.resolved == []


async def test_nodes_are_connected_to_and_trusted(home: Path) -> None:
    async with served(home, "--demo") as web:
        await web.up()
        peer = web.node.practice_peers[0]
        web.node.peers.resolver = look_up
        connect, coin = "lightning::nodes::connect_to_node", {"coin": "RBTC-lightning"}
        uri = str(peer.uri)
        _, body = await web.call(connect, coin | {"node_address": uri})
        assert body["result"] == f"Connected successfully to node : {uri}"
        _, body = await web.call(connect, coin | {"node_address": uri})
        assert body["result"] == f"Already connected to node: {uri}"
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        stranger = "03f307325e1d037f92ce3655ef5e1438f132a4bd95f4756f779b8f8e7b0d31c5f0"
        assert error_of(await web.call(connect, coin | {"node_address": f"{stranger}@127.0.0.1:{port}"})) == (
            500,
            "ConnectionError",
            f"Error connecting to node: Timeout error: Failed to connect to node: {stranger}",
            f"Timeout error: Failed to connect to node: {stranger}",
        )
        for given, words in (
            ("x", "Could not parse node address from str x"),
            ("02@127.0.0.1:1", "Could not parse node pubkey from str 02, err malformed public key"),
            (f"{stranger}@127.0.0.1", "Could not parse socket address from str 127.0.0.1, err invalid socket address"),
            (f"{stranger}@h:65536", "Could not parse socket address from str h:65536, err invalid port value"),
            (f"{stranger}@h:", "Could not parse socket address from str h:, err invalid port value"),
            *(
                (f"{stranger}@{host}:1", f"Could not parse socket address from str {host}:1, err {UNKNOWN_NAME}")
                for host in ("", "nowhere.test", "dns:name", "/run/x", "[name]", "a..b")
            ),
            (f"{stranger}@empty.test:1", "Could not parse socket address from str empty.test:1"),
            (1, "invalid type: integer `1`, expected pubkey@host:port"),
        ):
            assert error_of(await web.call(connect, coin | {"node_address": given})) == (
                400,
                "InvalidRequest",
                f"Error parsing request: {words}",
                words,
            )
        for _ in range(2):
            _, body = await web.call("lightning::nodes::add_trusted_node", coin | {"node_id": stranger})
            assert body["result"] == {"added_node": stranger}
        await web.legacy("disable_coin", coin="RBTC-lightning")
        await web.up()
        _, body = await web.call("lightning::nodes::list_trusted_nodes", coin)
        assert body["result"] == {"trusted_nodes": [stranger]}, "kept"
        for _ in range(2):
            _, body = await web.call("lightning::nodes::remove_trusted_node", coin | {"node_id": stranger})
            assert body["result"] == {"removed_node": stranger}
        assert error_of(await web.call("lightning::nodes::list_trusted_nodes", {"coin": "RBTC-segwit"})) == (
            400,
            "UnsupportedCoin",
            "Lightning network is not supported for RBTC-segwit",
            "RBTC-segwit",
        )
        assert error_of(await web.call("lightning::nodes::list_trusted_nodes", {"coin": "X"})) == (
            404,
            "NoSuchCoin",
            "No such coin X",
            "X",
        )


async def test_channels_are_listed_by_filter_and_page_from_the_records(home: Path) -> None:
    async with served(home) as web:
        await web.up()
        assert web.node.lightning is not None
        for number in range(3):
            record = replace(RECORD, channel_id=bytes([number + 1]) * 32, funding_sat=20_000 * (number + 1))
            record = replace(record, opener=Opener.LOCAL)
            await web.node.lightning.channels.put(record)
        closed = replace(RECORD, channel_id=bytes([9]) * 32, state=ChannelState.CLOSED)
        await web.node.lightning.channels.put(closed)
        method, coin = "lightning::channels::list_open_channels_by_filter", {"coin": "RBTC-lightning"}
        _, body = await web.call(method, coin | {"limit": 2, "paging_options": {"PageNumber": 2}})
        page = body["result"]
        assert list(page) == ["open_channels", "limit", "skipped", "total", "total_pages", "paging_options"]
        assert (page["skipped"], page["total"], page["total_pages"], len(page["open_channels"])) == (2, 3, 2, 1)
        _, body = await web.call(method, coin | {"paging_options": {"PageNumber": 9}})
        assert body["result"]["open_channels"] == [], "beyond the end there is nothing"
        _, body = await web.call(method, coin | {"filter": {"from_funding_value_sats": 30_000, "is_usable": None}})
        found = body["result"]["open_channels"]
        assert [channel["funding_tx_value_sats"] for channel in found] == [40_000, 60_000]
        _, body = await web.call(method, coin | {"paging_options": {"FromId": found[0]["uuid"]}})
        assert [each["uuid"] for each in body["result"]["open_channels"]] == [found[1]["uuid"]]
        _, body = await web.call("lightning::channels::get_channel_details", coin | {"uuid": found[1]["uuid"]})
        assert body["result"] == {"status": "Open", "details": found[1]}
        _, body = await web.call("lightning::channels::list_closed_channels_by_filter", coin)
        assert [channel["channel_id"] for channel in body["result"]["closed_channels"]] == ["09" * 32]
        await web.node.lightning.channels.put(replace(closed, funding_height=None))
        _, body = await web.call("lightning::channels::list_closed_channels_by_filter", coin)
        (never_mined,) = body["result"]["closed_channels"]
        assert "funding_generated_in_block" not in never_mined, "what there is not is left out"
        unknown = "9d657084-5f1c-4d8d-8d4d-3e7e6a3d9b60"
        assert error_of(await web.call("lightning::channels::get_channel_details", coin | {"uuid": unknown})) == (
            404,
            "NoSuchChannel",
            f"Channel with uuid: {unknown} is not found",
            unknown,
        )
        _, body = await web.legacy("my_balance", coin="RBTC-lightning")
        assert (body["balance"], body["unspendable_balance"]) == ("0", "0.0012")
