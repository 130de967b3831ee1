"""The event stream: each change of a task to the client that its `init` named, bounded, gone when the client is."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

import aiohttp

from core.rpc.mmrpc.events import MAX_FRAMES, MAX_STREAMS, Stream
from tests.unit.rpc.mmrpc.parts import CANCEL, PASSWORD, RESULT, Rpc, served


@contextlib.asynccontextmanager
async def listening(rpc: Rpc, client_id: object) -> AsyncIterator[aiohttp.ClientResponse]:
    url = f"{rpc.url}event-stream?id={client_id}"
    async with rpc.http.get(url, headers={"Userpass": PASSWORD}) as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == "text/event-stream"
        yield response


async def _frame(response: aiohttp.ClientResponse) -> object:
    async with asyncio.timeout(30):
        data = await response.content.readuntil(b" \n\n")
    assert data.startswith(b"data: ")
    return json.loads(data[6:])


def _message(task_id: int, status: str, details: object) -> dict[str, object]:
    return {"_type": f"TASK:{task_id}", "message": {"status": status, "details": details}}


async def test_a_task_is_told_to_the_client_that_its_init_named_and_to_nobody_else() -> None:
    async with served() as rpc, listening(rpc, 7) as mine, listening(rpc, 8) as other:
        task_id = await rpc.init(client_id=7)
        assert await _frame(mine) == _message(task_id, "InProgress", "ActivatingCoin")
        rpc.node.advance.set()
        assert await _frame(mine) == _message(task_id, "InProgress", "GettingFeesFromRPC")
        rpc.node.end.set_result(RESULT)
        last = await _frame(mine)
        assert isinstance(last, dict)
        assert last["message"]["status"] == "Ok"
        assert last["message"]["details"]["platform_coin"] == "RBTC-segwit"
        await rpc.server.aclose()
        assert await mine.content.read() == b""
        assert await other.content.read() == b""


async def test_without_a_client_id_it_is_the_client_of_id_0() -> None:
    async with served() as rpc, listening(rpc, "nonsense") as zero:
        task_id = await rpc.init()
        assert await _frame(zero) == _message(task_id, "InProgress", "ActivatingCoin")


async def test_a_failure_is_told_with_its_error_and_a_cancelled_task_falls_silent() -> None:
    async with served() as rpc, listening(rpc, 1) as mine:
        task_id = await rpc.init(client_id=1)
        assert await _frame(mine) == _message(task_id, "InProgress", "ActivatingCoin")
        await rpc.call(CANCEL, {"task_id": task_id})
        second = await rpc.init(client_id=1)
        assert await _frame(mine) == _message(second, "InProgress", "ActivatingCoin")
        rpc.node.advance.set()
        await _frame(mine)
        rpc.node.end.set_exception(ValueError("x"))
        last = await _frame(mine)
        assert isinstance(last, dict)
        assert (last["message"]["status"], last["message"]["details"]["error_type"]) == ("Error", "Internal")


async def test_an_id_in_use_is_refused_and_free_again_when_its_client_left() -> None:
    async with served() as rpc:
        again = rpc.http.get(f"{rpc.url}event-stream?id=1", headers={"Userpass": PASSWORD})
        async with listening(rpc, 1), again as response:
            assert (response.status, await response.text()) == (500, "ID already in use")
        # Nothing is written to the stream meanwhile: that the client left is seen all the same.
        async with asyncio.timeout(30):
            while rpc.server.streams:
                await asyncio.sleep(0)
        async with listening(rpc, 1):
            pass


async def test_streams_are_bounded() -> None:
    async with served() as rpc, contextlib.AsyncExitStack() as stack:
        for number in range(MAX_STREAMS):
            await stack.enter_async_context(listening(rpc, number))
        async with rpc.http.get(f"{rpc.url}event-stream?id=999", headers={"Userpass": PASSWORD}) as response:
            assert response.status == 503


async def test_who_is_too_far_behind_is_let_go() -> None:
    stream = Stream()
    for number in range(MAX_FRAMES - 1):
        stream.push(str(number).encode())
    assert stream.frames.qsize() == MAX_FRAMES - 1
    stream.push(b"one too many")
    assert await stream.frames.get() is None
    stream.push(b"after the end")
    assert stream.frames.empty()
