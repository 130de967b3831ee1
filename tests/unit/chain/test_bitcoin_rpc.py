"""What a server says that is no honest Bitcoin Core: each kind has its own error, and nothing else is believed."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from core.base.events import Event, EventBus
from core.bolt.networks import NETWORKS
from core.chain.bitcoin_rpc import BitcoinRpcSource
from core.chain.bitcoin_rpc_client import Login, RpcServer, cookie_login, password_login
from core.chain.errors import (
    ChainUnavailable,
    ServerLied,
    ServerRefused,
    ServerStalled,
    ServerUnreachable,
    WrongPassword,
)
from core.chain.headers import Block, BlockTree
from core.chain.kernel_blocks import make_block
from core.chain.source import Position, TipChanged, UnspentOutput
from core.chain.transactions import TransactionRefused, parse_block_transactions
from tests.support.clock import ManualClock

REGTEST = NETWORKS["regtest"]
PASSWORD = b"correct horse"
MISSING = object()
Answer = Callable[..., Any]


class Core:
    """A server with a real chain of three blocks, whose single answers a test replaces."""

    def __init__(self) -> None:
        self.blocks: dict[str, bytes] = {}
        self.order: list[str] = []
        parent = BlockTree().tip
        self._keep(parent.header, parent)
        for extra in range(3):
            raw = make_block(parent, [], b"\x51", extra=extra, time=0)
            parent = Block.on(parent, raw[:80])
            self._keep(raw, parent)
        self.answers: dict[str, Answer] = {}
        self.raw: Callable[[], web.StreamResponse] | None = None
        """Replaces the whole HTTP answer."""
        self.silent = asyncio.Event()
        self.ended = asyncio.Event()
        self.authorised = {Login("leyden", PASSWORD).header()}
        self.asked: list[str] = []
        self.port = 0

    def _keep(self, raw: bytes, block: Block) -> None:
        self.order.append(block.hash[::-1].hex())
        self.blocks[self.order[-1]] = raw

    async def handle(self, request: web.Request) -> web.StreamResponse:
        asked = await request.json()
        if self.silent.is_set():
            await self.ended.wait()
        if request.headers.get("Authorization") not in self.authorised:
            return web.Response(status=401)
        if self.raw is not None:
            return self.raw()
        if isinstance(asked, list):
            return web.json_response(text=json.dumps([self._answer(one) for one in reversed(asked)]))
        answer = self._answer(asked)
        return web.json_response(text=json.dumps(answer), status=500 if answer["error"] else 200)

    def _answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        method, params = asked["method"], asked["params"]
        self.asked.append(method)
        try:
            result = self.answers[method](*params) if method in self.answers else getattr(self, method)(*params)
        except Refusal as refusal:
            return {"id": asked["id"], "result": None, "error": {"code": refusal.code, "message": str(refusal)}}
        return {"id": asked["id"], "result": result, "error": None}

    def getblockchaininfo(self) -> object:
        return {"blocks": len(self.order) - 1, "bestblockhash": self.order[-1]}

    def getblockhash(self, height: int) -> object:
        if height >= len(self.order):
            raise Refusal(-8, "Block height out of range")
        return self.order[height]

    def getblockheader(self, block_hash: str, verbose: bool) -> object:
        return {"height": self.order.index(block_hash)} if verbose else self.blocks[block_hash][:80].hex()

    def getblock(self, block_hash: str, _verbose: bool) -> object:
        return self.blocks[block_hash].hex()


class Refusal(Exception):
    """An error of the server's own."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@asynccontextmanager
async def core() -> AsyncIterator[Core]:
    server = Core()
    app = web.Application()
    app.router.add_post("/", server.handle)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.port = runner.addresses[0][1]
    try:
        yield server
    finally:
        server.ended.set()
        await runner.cleanup()


async def known_login() -> Login:
    return Login("leyden", PASSWORD)


async def open_source(
    server: Core, bus: EventBus | None = None, clock: ManualClock | None = None, *, timeout_s: float = 30.0
) -> BitcoinRpcSource:
    return await BitcoinRpcSource.open(
        RpcServer("127.0.0.1", server.port),
        known_login,
        REGTEST,
        bus or EventBus(),
        clock or ManualClock(),
        timeout_s=timeout_s,
    )


@asynccontextmanager
async def opened(*, timeout_s: float = 30.0) -> AsyncIterator[tuple[Core, BitcoinRpcSource]]:
    async with core() as server:
        source = await open_source(server, timeout_s=timeout_s)
        try:
            yield server, source
        finally:
            await source.aclose()


async def test_an_honest_server() -> None:
    async with opened() as (server, source):
        assert (await source.tip()).block_hash[::-1].hex() == server.order[3]
        reward = parse_block_transactions(server.blocks[server.order[2]])[0]
        assert await source.transaction_at(2, 0) == reward.raw
        assert await source.transaction_at(2, 1) is None
        assert source.description == f"Bitcoin Core at 127.0.0.1:{server.port}, which checks the chain itself"


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, b"<html>", ServerLied),
        (200, b"[" * 100_000, ServerLied),
        (200, b"{}", ServerLied),
        (200, b"null", ServerLied),
        (200, b'{"id": "other", "result": 1, "error": null}', ServerLied),
        (503, b"Work queue depth exceeded", ServerRefused),
        (403, b"", ServerRefused),
        (302, b"", ServerRefused),
    ],
)
async def test_an_answer_that_is_no_answer(status: int, body: bytes, kind: type[Exception]) -> None:
    async with opened() as (server, source):
        server.raw = lambda: web.Response(status=status, body=body, headers={"Location": "http://127.0.0.1:1/"})
        with pytest.raises(kind) as caught:
            await source.tip()
        assert type(caught.value) is kind


async def test_an_answer_without_end_is_not_read_to_its_end() -> None:
    async with opened() as (server, source):
        server.raw = lambda: web.Response(body=b" " * (16 * 1024 * 1024 + 1))
        with pytest.raises(ServerLied, match="more than any block has"):
            await source.tip()


@pytest.mark.parametrize(
    ("method", "result"),
    [
        ("getblockchaininfo", None),
        ("getblockchaininfo", {"blocks": -1, "bestblockhash": "00" * 32}),
        ("getblockchaininfo", {"blocks": True, "bestblockhash": "00" * 32}),
        ("getblockchaininfo", {"blocks": 4, "bestblockhash": "zz"}),
        ("getblockchaininfo", {"blocks": 4, "bestblockhash": "00" * 31}),
        ("getblockchaininfo", {"blocks": 4, "bestblockhash": 7}),
        ("getblockheader", "00" * 80),
        ("getblockheader", "00"),
    ],
)
async def test_a_tip_that_cannot_be(method: str, result: object) -> None:
    async with opened() as (server, source):
        server.order.pop()
        server.answers[method] = lambda *_params: result
        with pytest.raises(ServerLied):
            await source.tip()


async def test_a_header_of_another_block() -> None:
    async with opened() as (server, source):
        server.answers["getblockheader"] = lambda *_params: server.blocks[server.order[1]][:80].hex()
        with pytest.raises(ServerLied, match="another hash"):
            await source.header(2)


async def test_a_block_that_is_another_or_whose_transactions_were_changed() -> None:
    async with opened() as (server, source):
        block = server.blocks[server.order[2]]
        changed = block[:150] + bytes([block[150] ^ 1]) + block[151:]
        short = block[:90]
        for answer in (server.blocks[server.order[1]], changed, short, b""):
            server.answers["getblock"] = lambda *_params, answer=answer: answer.hex()
            with pytest.raises(ServerLied):
                await source.transaction_at(2, 0)


def _output(server: Core) -> dict[str, object]:
    return {"value": 50.0, "confirmations": 1, "bestblock": server.order[3], "scriptPubKey": {"hex": "51"}}


def _txids(server: Core, block_hash: str) -> object:
    return {"tx": [one.txid[::-1].hex() for one in parse_block_transactions(server.blocks[block_hash])]}


async def test_many_outputs_by_their_positions() -> None:
    """What is spent, not there or in a block that was pruned keeps nothing from the others."""
    async with opened() as (server, source):
        rewards = [parse_block_transactions(server.blocks[server.order[height]])[0].txid for height in (1, 2, 3)]
        spent, pruned = rewards[1][::-1].hex(), server.order[3]

        def block(block_hash: str, verbose: bool) -> object:
            assert verbose is True
            if block_hash == pruned:
                _refuse(-1, "Block not available (pruned data)")
            return _txids(server, block_hash)

        server.answers["getblock"] = block
        server.answers["gettxout"] = lambda txid, _index, _pool: None if txid == spent else _output(server)
        wanted = [Position(height, 0, 0) for height in (3, 2, 1)]
        wanted += [Position(1, 1, 0), Position(4, 0, 0), Position(1, 0, 0)]
        held = rewards[0], UnspentOutput(5_000_000_000, b"\x51", 1)
        server.asked.clear()
        assert await source.unspent_at(wanted) == [None, None, held, None, None, held]
        assert server.asked.count("getblock") == 3
        assert server.asked.count("gettxout") == 2


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("getblock", "00"),
        ("getblock", {"tx": None}),
        ("getblock", {"tx": [1]}),
        ("getblock", {"tx": ["00"]}),
        ("gettxout", 1),
        ("gettxout", {"value": 1}),
        ("gettxout", {"value": "1", "scriptPubKey": {"hex": "51"}}),
    ],
)
async def test_outputs_that_cannot_be(method: str, answer: object) -> None:
    async with opened() as (server, source):
        server.answers["getblock"] = lambda block_hash, _verbose: _txids(server, block_hash)
        server.answers["gettxout"] = lambda *_params: _output(server)
        server.answers[method] = lambda *_params: answer
        with pytest.raises(ServerLied):
            await source.unspent_at([Position(1, 0, 0)])


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"feerate": 0.00012345, "blocks": 6}, 12345),
        ({"feerate": 0.000123451, "blocks": 6}, 12346),
        ({"feerate": 1, "blocks": 6}, 100_000_000),
        ({"feerate": -1, "blocks": 6}, None),
        ({"errors": ["Insufficient data or no feerate found"], "blocks": 6}, None),
    ],
)
async def test_a_fee_estimate_and_its_absence(answer: object, expected: int | None) -> None:
    async with opened() as (server, source):
        server.answers["estimatesmartfee"] = lambda _blocks: answer
        assert await source.fee_estimate(6) == expected


async def test_a_server_without_estimates_and_estimates_that_are_none() -> None:
    async with opened() as (server, source):
        server.answers["estimatesmartfee"] = lambda _blocks: _refuse(-32601, "Method not found")
        assert await source.fee_estimate(6) is None
        server.answers["estimatesmartfee"] = lambda _blocks: _refuse(-28, "Loading block index")
        with pytest.raises(ServerRefused, match="Loading block index"):
            await source.fee_estimate(6)
        for rate in ("0.1", 1e30, [], True, None):
            server.answers["estimatesmartfee"] = lambda _blocks, rate=rate: {"feerate": rate}
            with pytest.raises(ServerLied):
                await source.fee_estimate(6)


def _refuse(code: int, message: str) -> None:
    raise Refusal(code, message)


async def test_a_transaction_is_refused_in_the_servers_words_and_another_id_is_a_lie() -> None:
    async with opened() as (server, source):
        transaction = parse_block_transactions(server.blocks[server.order[1]])[0]
        server.answers["sendrawtransaction"] = lambda _raw: _refuse(-26, "min relay fee not met")
        with pytest.raises(TransactionRefused, match="min relay fee not met"):
            await source.broadcast(transaction.raw)
        server.answers["sendrawtransaction"] = lambda _raw: _refuse(-28, "Verifying blocks")
        with pytest.raises(ServerRefused):
            await source.broadcast(transaction.raw)
        server.answers["sendrawtransaction"] = lambda _raw: "00" * 32
        with pytest.raises(ServerLied):
            await source.broadcast(transaction.raw)
        server.answers["sendrawtransaction"] = lambda _raw: transaction.txid[::-1].hex()
        assert await source.broadcast(transaction.raw) == transaction.txid


async def test_a_stalling_server_and_a_dead_one() -> None:
    async with opened(timeout_s=1.0) as (server, source):
        server.silent.set()
        with pytest.raises(ServerStalled) as caught:
            await source.tip()
        assert caught.value.timeout_s == 1.0
    with pytest.raises(ServerUnreachable) as dead:
        await open_source(server)
    assert dead.value.reason.endswith(": Connection refused"), "the system's words and no library's"


async def test_a_closed_source_answers_nothing() -> None:
    async with core() as server:
        source = await open_source(server)
        await source.aclose()
        await source.aclose()
        asked = len(server.asked)
        for question in (
            source.tip(),
            source.header(0),
            source.broadcast(b""),
            source.fee_estimate(1),
            source.transaction_at(0, 0),
            source.unspent_output(bytes(32), 0),
            source.unspent_at([]),
        ):
            with pytest.raises(ChainUnavailable):
                await question
        assert len(server.asked) == asked


async def test_closing_ends_what_is_under_way() -> None:
    async with core() as server:
        source = await open_source(server)
        server.silent.set()
        asking = asyncio.ensure_future(source.tip())
        await asyncio.sleep(0.01)
        await source.aclose()
        with pytest.raises(ChainUnavailable):
            await asking


async def test_a_poll_that_fails_is_logged_once_and_the_next_tells_the_tip(caplog: pytest.LogCaptureFixture) -> None:
    bus, told, clock = EventBus(), list[Event](), ManualClock()
    bus.subscribe(TipChanged, told.append)
    async with core() as server:
        last = server.order.pop()
        source = await open_source(server, bus, clock)
        server.answers["getblockchaininfo"] = lambda: _refuse(-28, "Loading block index")
        with caplog.at_level(logging.WARNING):
            for _ in range(3):
                asked = len(server.asked)
                await clock.advance(2.0)
                await _until(lambda asked=asked: len(server.asked) > asked)
                async with source._looking:
                    pass
        assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == [
            f"the chain does not answer: 127.0.0.1:{server.port}: Loading block index"
        ]
        del server.answers["getblockchaininfo"]
        server.order.append(last)
        await clock.advance(2.0)
        await _until(lambda: bool(told))
        assert [event.tip.height for event in told if isinstance(event, TipChanged)] == [3]
        await source.aclose()


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.002)


async def test_a_login_that_changed_is_read_anew_and_one_that_is_wrong_is_told(tmp_path: Path) -> None:
    cookie = tmp_path / ".cookie"
    cookie.write_bytes(b"__cookie__:first")
    async with core() as server:
        server.authorised = {Login("__cookie__", b"first").header()}
        source = await BitcoinRpcSource.open(
            RpcServer("127.0.0.1", server.port), cookie_login(cookie), REGTEST, EventBus(), ManualClock()
        )
        cookie.write_bytes(b"__cookie__:second")
        server.authorised = {Login("__cookie__", b"second").header()}
        assert (await source.tip()).height == 3
        server.authorised = set()
        with pytest.raises(WrongPassword):
            await source.tip()
        cookie.unlink()
        with pytest.raises(ServerUnreachable, match="No such file"):
            await source.tip()
        cookie.write_bytes(b"no cookie")
        with pytest.raises(ServerUnreachable, match="no cookie file"):
            await source.tip()
        await source.aclose()


async def test_a_password_is_the_files_first_line_and_in_no_text(tmp_path: Path) -> None:
    (tmp_path / "password").write_bytes(PASSWORD + b"\r\nmore\n")
    login = await password_login("leyden", tmp_path / "password")()
    assert login == Login("leyden", PASSWORD)
    assert "horse" not in f"{login!r} {login}"


async def test_an_opening_that_fails_leaves_no_connection() -> None:
    async with core() as server:
        server.answers["getblockchaininfo"] = lambda: None
        with pytest.raises(ServerLied):
            await open_source(server)
