"""`minepractice` and `payfaucet`: the practice chain from outside, and where there is none."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.activation.sources import Embedded
from core.chain.kernel import KernelChain
from core.chain.kernel_engine import KernelMissing
from tests.unit.rpc.parts import Client, served
from tests.unit.test_node import ended, practice, started

pytest.importorskip("pbk")
ADDRESS, SCRIPT = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080", "0014751e76e8199196d454941c45d1b3a323f1433bd6"
SEEN = "(see logs for details)"


async def client_of(node: Any) -> Client:
    return Client(*await asyncio.open_unix_connection(node.paths.socket))


async def test_blocks_are_mined_and_an_address_or_a_script_is_paid(home: Path) -> None:
    async with started(practice(home)) as node:
        await node.activator.enable("RBTC-segwit", Embedded())
        client = await client_of(node)
        assert await client.result("minepractice") == {"height": 1}
        assert (await client.error("payfaucet", [ADDRESS, 5]))[1] == "The practice chain can pay 0 sat, not 5 sat"
        assert await client.result("minepractice", {"blocks": 101}) == {"height": 102}
        chain = node.practice_chain
        for height, destination in ((103, ADDRESS), (104, SCRIPT)):
            paid = await client.result("payfaucet", {"destination": destination, "amount_sat": 100_000})
            assert await client.result("minepractice", [1]) == {"height": height}
            found = await chain.unspent_output(bytes.fromhex(paid["txid"])[::-1], 0)
            assert found is not None
            assert (found.amount_sat, found.script_pubkey.hex(), found.height) == (100_000, SCRIPT, height)
        client.writer.close()


async def test_where_the_coin_is_on_no_practice_chain_it_is_told(home: Path) -> None:
    async with started(practice(home)) as node:
        client = await client_of(node)
        words = "There is no practice chain to mine on: the coin is not active"
        for method, params in (("minepractice", [1]), ("payfaucet", [ADDRESS, 1])):
            assert await client.error(method, params) == (-1, words)
            assert await client.error("check", [method, *params]) == (-1, words)
        client.writer.close()
    async with started(replace(practice(home), network="signet", chain_source="embedded")) as node:
        client = await client_of(node)
        assert await ended(node)
        assert (await client.error("minepractice"))[1] == words
        client.writer.close()


async def test_headers_alone_are_no_practice_chain_with_money(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def no_kernel(*_more: object) -> KernelChain:
        raise KernelMissing

    monkeypatch.setattr(KernelChain, "open", no_kernel)
    async with started(practice(home)) as node:
        await node.activator.enable("RBTC-segwit", Embedded())
        client = await client_of(node)
        assert "the coin is followed with " in (await client.error("minepractice"))[1]
        client.writer.close()


@pytest.mark.parametrize("blocks", [0, -1, 1001, "x", 1.5, 10**30])
async def test_how_many_blocks_is_bounded(blocks: object) -> None:
    async with served() as rpc, rpc.client() as client:
        text = f"blocks: should be between 1 and 1000: invalid token {SEEN}"
        assert await client.error("minepractice", [blocks]) == (-32602, text)


@pytest.mark.parametrize("amount", [0, -1, 21 * 10**14 + 1, "x", 1.5])
async def test_an_amount_is_one(amount: object) -> None:
    async with served() as rpc, rpc.client() as client:
        text = f"amount_sat: should be between 1 and {21 * 10**14} sat: invalid token {SEEN}"
        assert await client.error("payfaucet", [ADDRESS, amount]) == (-32602, text)


@pytest.mark.parametrize(
    "destination",
    ["", "x", "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx", ADDRESS[:-1] + "9", "0014 75", "001", "51" * 10_001, "é"],
)
async def test_a_destination_is_an_address_of_this_network_or_a_script(destination: str) -> None:
    async with served() as rpc, rpc.client() as client:
        error = (-32602, "destination: should be an address of regtest or a script in hex")
        assert await client.error("payfaucet", [destination, 1]) == error
        assert await client.error("check", ["payfaucet", destination, 1]) == error
        verdict = await client.result("check", ["payfaucet", ADDRESS, 1])
        assert verdict == {"command_to_check": "payfaucet"}
