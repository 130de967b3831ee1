"""The real HTTP server over a small node whose one task goes on and ends as a test says."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, cast

import aiohttp

from core.activation.manager import TaskHandle, TaskManager
from core.activation.params import LightningParams, LightningResult
from core.activation.steps import ActivationStep
from core.base.events import EventBus
from core.base.settings import Settings
from core.rpc.mmrpc.base import Handler
from core.rpc.mmrpc.face import MmNode
from core.rpc.mmrpc.guard import RpcPassword
from core.rpc.mmrpc.methods import LEGACY, METHODS
from core.rpc.mmrpc.server import MmrpcServer
from tests.support.clock import ManualClock

PASSWORD = "RPC_UserP@SSW0RD"
RESULT = LightningResult("RBTC-segwit", "02" * 33, "0", "0.00000001")
INIT = "task::enable_lightning::init"
STATUS = "task::enable_lightning::status"
CANCEL = "task::enable_lightning::cancel"
USER_ACTION = "task::enable_lightning::user_action"
WAIT_S = 30.0


class SmallNode:
    """What mmrpc's own methods ask of the node."""

    def __init__(self, **settings: Any) -> None:
        self.settings = Settings(network="regtest", data_dir=Path("nowhere"), **settings)
        self.bus = EventBus()
        self.clock = ManualClock()
        self.tasks = TaskManager(self.bus, self.clock)
        self.refuse: Exception | None = None
        self.asked: list[tuple[str, LightningParams]] = []
        self.advance = asyncio.Event()
        """Set by a test: the task goes from its first step to its second."""
        self.end = asyncio.get_running_loop().create_future()
        """Resolved by a test: how the task ends."""
        self.release = asyncio.Event()
        """Cleared by a test: a cancelled task takes its time to let go."""
        self.release.set()

    async def init_lightning(self, ticker: str, params: LightningParams) -> int:
        if self.refuse is not None:
            raise self.refuse
        self.asked.append((ticker, params))
        return self.tasks.start(self._task)

    async def _task(self, handle: TaskHandle) -> object:
        try:
            with handle.step(ActivationStep.ACTIVATING_COIN):
                await self.advance.wait()
            with handle.step(ActivationStep.GETTING_FEES):
                return await self.end
        except asyncio.CancelledError:
            await self.release.wait()
            raise


class Rpc:
    """A client of the server."""

    def __init__(self, node: SmallNode, server: MmrpcServer, http: aiohttp.ClientSession) -> None:
        self.node = node
        self.server = server
        self.http = http
        self.url = f"http://127.0.0.1:{server.port}/"

    async def post(self, body: object, **headers: str) -> tuple[int, Any]:
        """The status and the parsed body; `body` goes as it is when it is bytes."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        async with self.http.post(self.url, data=data, headers=headers) as response:
            return response.status, json.loads(await response.read())

    async def call(self, method: str, params: object = None, **more: object) -> tuple[int, Any]:
        """A request of mmrpc 2.0 with the right password."""
        return await self.post({"mmrpc": "2.0", "userpass": PASSWORD, "method": method, "params": params, **more})

    async def init(self, **more: object) -> int:
        """Start the node's task; its number."""
        status, body = await self.call(INIT, {"ticker": "RBTC-lightning", "activation_params": {"name": "x"}, **more})
        assert status == 200, body
        return int(body["result"]["task_id"])

    async def raw(self, sent: bytes) -> bytes:
        """What comes back for these bytes: one reply, or what comes until the server closes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        writer.write(sent)
        answer = b""
        async with asyncio.timeout(WAIT_S):
            while not _is_whole(answer) and (piece := await reader.read(1 << 16)):
                answer += piece
        writer.transport.abort()
        return answer


def _is_whole(answer: bytes) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"Content-Length: (\d+)", head)
    return bool(end) and length is not None and len(body) >= int(length[1])


@contextlib.asynccontextmanager
async def served(
    methods: Mapping[str, Handler] | None = None, legacy: Mapping[str, Handler] | None = None, **settings: Any
) -> AsyncIterator[Rpc]:
    """On an ephemeral port of loopback."""
    node = SmallNode(**settings)
    server = MmrpcServer(
        cast("MmNode", node),
        RpcPassword(PASSWORD.encode()),
        node.settings.mmrpc_origin,
        {**METHODS, **(methods or {})},
        {**LEGACY, **(legacy or {})},
    )
    await server.listen("127.0.0.1", 0)
    try:
        async with aiohttp.ClientSession() as http:
            yield Rpc(node, server, http)
    finally:
        await server.aclose()
        await node.tasks.aclose()
