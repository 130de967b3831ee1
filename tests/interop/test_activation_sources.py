"""A whole activation on each chain source, over real counterparts (bcoin, ElectrumX), by settings and by mmrpc."""

from __future__ import annotations

from pathlib import Path

from core.activation.steps import PLATFORM_COIN
from core.base.events import StepChanged, StepState, TaskState
from core.chain.errors import ChainUnavailable, ServerUnreachable, WrongPassword
from core.node import Node
from tests.counterparts.bcoin import Bcoin
from tests.counterparts.electrumx import ElectrumX
from tests.unit.rpc.mmrpc.test_with_a_node import served
from tests.unit.test_node import ended, practice, started

BLOCKS = 5


def _password(home: Path, text: str) -> Path:
    path = home / "bitcoin-password"
    path.touch(mode=0o600)
    path.write_text(text)
    return path


def _rpc(node: Bcoin, password: Path) -> tuple[str, ...]:
    server = f"127.0.0.1:{node.rpc_port}"
    login = ("--bitcoin-rpc-user", "leyden", "--bitcoin-rpc-password-file", str(password))
    return ("--chain-source", "bitcoin-rpc", "--bitcoin-rpc", server, *login)


def _detail(node: Node) -> str:
    assert node.task_id is not None
    rows = {row.status: row for row in node.tasks.steps(node.task_id)}
    assert all(row.state is StepState.DONE and row.duration_s is not None for row in rows.values())
    return rows[PLATFORM_COIN].detail


def _failed_row(node: Node) -> StepChanged:
    assert node.task_id is not None
    return next(row for row in node.tasks.steps(node.task_id) if row.error is not None)


async def test_electrum_servers_by_the_settings(home: Path) -> None:
    async with await Bcoin.start(home / "bcoin") as bitcoin:
        await bitcoin.mine(BLOCKS)
        async with await ElectrumX.start(home / "electrumx", bitcoin, tls=True) as server:
            more = ("--chain-source", "electrum", "--electrum-server", f"127.0.0.1:{server.port}:s")
            async with started(practice(home, *more)) as node:
                assert await ended(node) is TaskState.OK
                assert _detail(node).endswith(f"tip at height {BLOCKS}")
                assert node.block_height == BLOCKS
                await node.deactivate()
                assert await ended(node) is TaskState.OK, "the platform coin is used as it is"


async def test_electrum_by_mmrpc(home: Path) -> None:
    async with await Bcoin.start(home / "bcoin") as bitcoin:
        await bitcoin.mine(BLOCKS)
        async with await ElectrumX.start(home / "electrumx", bitcoin) as server, served(home) as web:
            url = f"127.0.0.1:{server.port}"
            status, body = await web.legacy("electrum", coin="RBTC-segwit", servers=[{"url": url, "protocol": "TCP"}])
            assert (status, body["result"]) == (200, "success"), body
            _, body = await web.init()
            ended_as = await web.end_of(body["result"]["task_id"])
            assert (ended_as["status"], web.node.block_height) == ("Ok", BLOCKS)
            _, body = await web.legacy("disable_coin", coin="RBTC-segwit", force_disable=True)
            assert body["result"]["passivized"] is False
            await server.stop()
            status, body = await web.legacy("electrum", coin="RBTC-segwit", servers=[{"url": url}])
            assert (status, url in body["error"]) == (500, True), body
            status, body = await web.legacy("electrum", coin="RBTC-segwit", servers=[{"url": url, "protocol": "WSS"}])
            assert (status, "No server for RBTC-segwit" in body["error"]) == (500, True)


async def test_a_bitcoin_core_by_the_settings_and_by_enable(home: Path) -> None:
    async with await Bcoin.start(home / "bcoin") as bitcoin:
        await bitcoin.mine(BLOCKS)
        more = _rpc(bitcoin, _password(home, bitcoin.password))
        async with started(practice(home, *more)) as node:
            assert await ended(node) is TaskState.OK
            assert _detail(node).endswith(f"tip at height {BLOCKS}")
        async with served(home, *more) as web:
            await web.up()
            assert web.node.block_height == BLOCKS


async def test_a_wrong_password_and_a_dead_server_have_their_error_in_the_platform_coins_row(home: Path) -> None:
    async with await Bcoin.start(home / "bcoin") as bitcoin:
        wrong = _password(home, "not it")
        async with started(practice(home, *_rpc(bitcoin, wrong))) as node:
            assert await ended(node) is TaskState.ERROR
            row = _failed_row(node)
            assert (row.status, type(row.error)) == (PLATFORM_COIN, WrongPassword)
            wrong.write_text(bitcoin.password)
            assert await ended(node) is TaskState.OK, "once it is the right one"
            await node.deactivate()
            await bitcoin.kill()
            assert await ended(node) is TaskState.ERROR
            row = _failed_row(node)
            assert (row.status, type(row.error)) == (PLATFORM_COIN, ServerUnreachable)
            assert isinstance(row.error, ChainUnavailable)
