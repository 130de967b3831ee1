"""Electrum servers that lie, lag, stall or hang up: servers of our own over loopback."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
from aiorpcx import RPCError, RPCSession, serve_rs

from core.base.clock import Clock, SystemClock
from core.base.events import EventBus
from core.bolt.networks import NETWORKS
from core.chain.electrum import QUIET_S, ElectrumServer, ElectrumSource, PinStore
from core.chain.electrum_link import LONGEST_MESSAGE, REQUEST_S
from core.chain.electrum_protocol import LARGEST_CHUNK
from core.chain.errors import (
    ChainUnavailable,
    ServerBehind,
    ServerFailed,
    ServerLied,
    ServerRefused,
    ServerStalled,
    ServerUnreachable,
)
from core.chain.headers import GENESIS_HEADER, Block, double_sha256, mine_header
from core.chain.source import ChainReorganised, TipChanged
from core.chain.transactions import TransactionRefused, coinbase, txid
from tests.support.clock import ManualClock

REGTEST = NETWORKS["regtest"]
GENESIS = Block(GENESIS_HEADER, double_sha256(GENESIS_HEADER), 0, None)


def grown(chain: list[bytes], count: int, salt: int = 0) -> list[bytes]:
    """`chain` and `count` headers on it; another `salt` makes others."""
    block: Block | None = None
    for height, raw in enumerate(chain):
        block = Block(raw, double_sha256(raw), height, block)
    chain = list(chain)
    for _ in range(count):
        assert block is not None
        chain.append(mine_header(block, bytes([salt]) * 32, block.time + 600))
        block = Block.on(block, chain[-1])
    return chain


class Script:
    """A server on loopback. `answers` replace what an honest one says: a value, an RPCError, or a callable."""

    def __init__(self, chain: list[bytes]) -> None:
        self.chain = chain
        self.answers: dict[str, Any] = {}
        self.sessions: list[RPCSession] = []
        self.asked: list[str] = []
        self.place = ElectrumServer("127.0.0.1", 0, False)

    def claim(self) -> dict[str, Any]:
        return {"height": len(self.chain) - 1, "hex": self.chain[-1].hex()}

    async def tell(self, claim: Any = None) -> None:
        """Notify everybody of the tip."""
        for session in self.sessions:
            await session.send_notification("blockchain.headers.subscribe", [claim or self.claim()])

    async def answer(self, method: str, args: list[Any]) -> Any:
        self.asked.append(method)
        if method in self.answers:
            answer = self.answers[method]
            answer = answer(*args) if callable(answer) else answer
            answer = await answer if asyncio.iscoroutine(answer) else answer
            if isinstance(answer, Exception):
                raise answer
            return answer
        if method == "blockchain.block.headers":
            return {"hex": b"".join(self.chain[args[0] : args[0] + args[1]]).hex()}
        return {"server.version": ["scripted", "1.4"], "blockchain.headers.subscribe": self.claim()}.get(method)


@asynccontextmanager
async def serving(*scripts: Script) -> AsyncIterator[list[ElectrumServer]]:
    """Each script behind a port of its own."""
    servers = []
    for script in scripts:

        class Session(RPCSession):
            script_: Script = script

            def __init__(self, transport: Any) -> None:
                super().__init__(transport)
                self.script_.sessions.append(self)

            async def handle_request(self, request: Any) -> Any:
                return await self.script_.answer(request.method, request.args)

        servers.append(await serve_rs(Session, "127.0.0.1", 0))
        script.place = ElectrumServer("127.0.0.1", servers[-1].sockets[0].getsockname()[1], False)
    try:
        yield [script.place for script in scripts]
    finally:
        for server, script in zip(servers, scripts, strict=True):
            server.close()
            for session in script.sessions:
                await session.abort()
                await session.close(force_after=1)
            await server.wait_closed()


@asynccontextmanager
async def opened(
    *scripts: Script, bus: EventBus | None = None, clock: Clock | None = None, **options: Any
) -> AsyncIterator[ElectrumSource]:
    async with serving(*scripts) as places:
        source = await ElectrumSource.open(
            places, REGTEST, bus or EventBus(), clock or SystemClock(), pins=PinStore(None), **options
        )
        try:
            yield source
        finally:
            await source.aclose()


async def fails(script: Script, kind: type[ServerFailed], match: str) -> None:
    with pytest.raises(kind, match=match):
        async with opened(script):
            pass


async def until(holds: Any) -> None:
    async with asyncio.timeout(30):
        while not holds():
            await asyncio.sleep(0.005)


async def test_a_tip_without_work_is_a_lie() -> None:
    script = Script(grown([GENESIS_HEADER], 5))
    script.chain[3] = script.chain[3][:76] + bytes(4)
    while int.from_bytes(double_sha256(script.chain[3]), "little") < 1 << 255:
        script.chain[3] = script.chain[3][:40] + double_sha256(script.chain[3])[:28] + script.chain[3][68:]
    await fails(script, ServerLied, "misses the target")


async def test_a_tip_that_is_not_in_its_servers_chain_is_a_lie() -> None:
    script = Script(grown([GENESIS_HEADER], 5))
    other = grown([GENESIS_HEADER], 5, salt=1)
    script.answers["blockchain.headers.subscribe"] = {"height": 5, "hex": other[5].hex()}
    await fails(script, ServerLied, "not in its chain")


async def test_a_height_that_its_server_has_no_header_of_is_a_lie() -> None:
    script = Script(grown([GENESIS_HEADER], 5))
    script.answers["blockchain.headers.subscribe"] = {"height": 10_000_000, "hex": script.chain[5].hex()}
    await fails(script, ServerLied, "has no header at")


async def test_a_message_without_end_ends_the_connection() -> None:
    script = Script(grown([GENESIS_HEADER], 1))
    script.answers["blockchain.headers.subscribe"] = "0" * 2 * LONGEST_MESSAGE
    await fails(script, ServerUnreachable, f"more than {LONGEST_MESSAGE} bytes")


@contextmanager
def shouting(content: bytes) -> Iterator[ElectrumServer]:
    """A server that answers nothing and repeats `content` as fast as it is taken."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def shout() -> None:
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):
                while True:
                    connection.sendall(content)

        thread = threading.Thread(target=shout)
        thread.start()
        yield ElectrumServer("127.0.0.1", listener.getsockname()[1], False)
        thread.join(10)
        assert not thread.is_alive()


async def shouted_at(content: bytes) -> ServerFailed:
    with shouting(content) as place, pytest.raises(ServerFailed) as failure:
        await ElectrumSource.open([place], REGTEST, EventBus(), SystemClock(), pins=PinStore(None))
    return failure.value


async def test_a_server_that_tells_more_than_can_be_read_is_left() -> None:
    notifications = b'{"jsonrpc":"2.0","method":"x","params":[]}\n' * 1000
    assert "faster than they could be read" in (await shouted_at(notifications)).reason


async def test_a_message_that_is_nested_too_deep_is_no_fault_of_ours(caplog: pytest.LogCaptureFixture) -> None:
    await shouted_at(b"[" * 60_000 + b"\n")
    gc.collect()  # asyncio tells of the exception of a lost task when it is collected
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_an_error_of_the_server_is_given_in_its_words() -> None:
    script = Script(grown([GENESIS_HEADER], 1))
    script.answers["server.version"] = RPCError(1, "unsupported protocol version")
    await fails(script, ServerRefused, "unsupported protocol version")


async def test_a_server_that_never_answers_is_stalled_after_the_deadline() -> None:
    script, clock = Script(grown([GENESIS_HEADER], 1)), ManualClock()
    script.answers["server.version"] = lambda *_: asyncio.Event().wait()
    async with serving(script) as places:
        opening = asyncio.create_task(ElectrumSource.open(places, REGTEST, EventBus(), clock, pins=PinStore(None)))
        await until(lambda: script.asked)
        await clock.advance(REQUEST_S - 0.1)
        assert not opening.done()
        await clock.advance(0.2)
        with pytest.raises(ServerStalled):
            await opening


async def test_the_longer_chain_wins_and_the_server_behind_is_named() -> None:
    chain = grown([GENESIS_HEADER], 20)
    behind, ahead = Script(chain[:11]), Script(chain)
    async with opened(behind, ahead) as source:
        assert (await source.tip()).height == 20
        assert isinstance(source.failures[behind.place], ServerBehind)
        behind.answers["blockchain.estimatefee"] = 0.001
        ahead.answers["blockchain.estimatefee"] = 0.002
        assert await source.fee_estimate(6) == 200_000
        behind.chain = chain
        await behind.tell()
        await until(lambda: behind.place not in source.failures)
        assert await source.fee_estimate(6) == 100_000


async def test_a_liar_among_several_is_left_out_and_never_asked_again() -> None:
    honest, liar, clock = Script(grown([GENESIS_HEADER], 5)), Script(grown([GENESIS_HEADER], 5)), ManualClock()
    async with opened(liar, honest, clock=clock) as source:
        liar.answers["blockchain.estimatefee"] = 0.5
        honest.answers["blockchain.estimatefee"] = 0.0001
        assert await source.fee_estimate(6) == 10_000
        assert isinstance(source.failures[liar.place], ServerLied)
        asked = len(liar.asked)
        for _ in range(3):
            await clock.advance(QUIET_S / 4)
            assert await source.fee_estimate(6) == 10_000
        assert (len(liar.asked), len(liar.sessions)) == (asked, 1)


async def test_a_height_without_end_is_found_out_at_its_first_headers() -> None:
    script = Script(grown([GENESIS_HEADER], 5))
    async with opened(script) as source:
        asked = len(script.asked)
        script.answers["blockchain.block.headers"] = lambda _start, count: {"hex": "00" * 80 * count}
        await script.tell({"height": 2**31 - 1, "hex": "00" * 80})
        await until(lambda: isinstance(source.failures.get(script.place), ServerLied))
        assert len(script.asked) - asked < 4


async def test_many_blocks_at_once_are_followed_piece_by_piece() -> None:
    script = Script(grown([GENESIS_HEADER], 5))
    async with opened(script) as source:
        script.chain = grown(script.chain, 2 * LARGEST_CHUNK + 7)
        await script.tell()
        await until(lambda: source._known_tip().height == len(script.chain) - 1)
        assert await source.header(len(script.chain) - 2) == script.chain[-2]


async def test_a_branch_counts_only_with_more_work_and_is_told_with_its_fork() -> None:
    bus, heard = EventBus(), list[Any]()
    bus.subscribe(TipChanged, heard.append)
    bus.subscribe(ChainReorganised, heard.append)
    script = Script(grown([GENESIS_HEADER], 40))
    async with opened(script, bus=bus) as source:
        old = await source.tip()
        chain = script.chain
        script.chain = grown(chain[:11], 30, salt=1)
        await script.tell()
        assert await source.tip() == old
        script.chain = grown(chain[:11], 31, salt=1)
        await script.tell()
        await until(lambda: len(heard) == 2)
        assert heard == [ChainReorganised(10, old), TipChanged(await source.tip())]
        assert await source.header(11) == script.chain[11]


async def test_headers_come_in_chunks_with_progress() -> None:
    script, seen = Script(grown([GENESIS_HEADER], 2500)), list[tuple[int, int]]()
    async with opened(script, progress=lambda done, total: seen.append((done, total))) as source:
        assert seen == [(2016, 2501), (2501, 2501)]
        assert (await source.tip()).height == 2500
        with pytest.raises(ChainUnavailable):
            await source.header(2501)


async def test_a_lost_server_is_connected_to_again() -> None:
    script = Script(grown([GENESIS_HEADER], 2))
    async with opened(script) as source:
        await script.sessions[0].abort()
        await until(lambda: script.place in source.failures)
        with pytest.raises(ServerUnreachable):
            await source.tip()
        await until(lambda: len(script.sessions) == 2 and script.place not in source.failures)
        await until(lambda: script.asked.count("blockchain.headers.subscribe") == 2)


async def test_a_transaction_needs_a_proof_of_its_place() -> None:
    spend = coinbase(1, 7)
    block = mine_header(GENESIS, txid(spend), GENESIS.time + 600)
    script = Script([GENESIS_HEADER, block])
    place = {"tx_hash": txid(spend)[::-1].hex(), "merkle": []}
    script.answers |= {"blockchain.transaction.id_from_pos": place, "blockchain.transaction.get": spend.hex()}
    async with opened(script) as source:
        assert await source.transaction_at(1, 0) == spend
        script.answers["blockchain.transaction.id_from_pos"] = {**place, "tx_hash": "11" * 32}
        with pytest.raises(ServerLied, match="proof of transaction 0 of block 1"):
            await source.transaction_at(1, 0)


async def test_a_transaction_that_was_not_asked_for_is_a_lie() -> None:
    script = Script(grown([GENESIS_HEADER], 1))
    script.answers["blockchain.transaction.get"] = coinbase(1, 2).hex()
    async with opened(script) as source:
        with pytest.raises(ServerLied, match="another transaction"):
            await source.unspent_output(txid(coinbase(1, 1)), 0)


async def test_a_refused_broadcast_tells_the_nodes_words_and_keeps_the_server() -> None:
    script = Script(grown([GENESIS_HEADER], 1))
    script.answers["blockchain.transaction.broadcast"] = RPCError(1, "min relay fee not met")
    async with opened(script) as source:
        with pytest.raises(TransactionRefused, match="min relay fee not met"):
            await source.broadcast(coinbase(1, 1))
        script.answers["blockchain.transaction.broadcast"] = txid(coinbase(1, 1))[::-1].hex()
        assert await source.broadcast(coinbase(1, 1)) == txid(coinbase(1, 1))


async def test_a_proxys_socket_is_the_only_way_out() -> None:
    script, dialled = Script(grown([GENESIS_HEADER], 1)), list[tuple[str, int]]()

    async def dial(host: str, port: int) -> socket.socket:
        dialled.append((host, port))
        sock = socket.socket()
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", script.place.port))
        return sock

    async with serving(script) as places:
        place = ElectrumServer("hidden.onion", places[0].port, False)
        source = await ElectrumSource.open([place], REGTEST, EventBus(), SystemClock(), pins=PinStore(None), dial=dial)
        assert (await source.tip()).height == 1
        await source.aclose()
        assert dialled == [("hidden.onion", place.port)]


async def test_a_cancelled_opening_leaves_nothing_and_a_closed_source_says_so() -> None:
    script = Script(grown([GENESIS_HEADER], 1))
    async with opened(script) as source:
        await source.aclose()
        await source.aclose()
        with pytest.raises(ChainUnavailable, match="closed"):
            await source.tip()
    script.answers["server.version"] = lambda *_: asyncio.Event().wait()
    async with serving(script) as places:
        opening = asyncio.create_task(
            ElectrumSource.open(places, REGTEST, EventBus(), SystemClock(), pins=PinStore(None))
        )
        count = len(script.asked)
        await until(lambda: len(script.asked) > count)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
