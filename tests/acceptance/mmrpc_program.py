"""The installed `leyden --headless` that serves mmrpc, asked from outside: by curl, and over a kept connection."""

from __future__ import annotations

import asyncio
import itertools
import json
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from tests.acceptance.program import DEADLINE_S, InstalledLeyden
from tests.counterparts.electrum import free_port

PASSWORD = "Acc3pt.Every-request"
"""As KDF's policy wants them."""
INIT, STATUS, CANCEL, ACTION = (
    f"task::enable_lightning::{name}" for name in ("init", "status", "cancel", "user_action")
)
_STARTS = ("node ",)


@dataclass(frozen=True, slots=True)
class Answer:
    """Of HTTP: its status, and the body as JSON, or as text where it is none."""

    status: int
    body: Any


class MmrpcLeyden(InstalledLeyden):
    """`launch(folder, *options)` returns once it serves; nothing is activated unless `options` say so.

    Options come after ours, so that `--network testnet` among them wins.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.mmrpc_port = free_port()
        self._numbers = itertools.count(1)

    @classmethod
    async def launch(cls, folder: Path, *args: str) -> MmrpcLeyden:
        folder.mkdir(parents=True, exist_ok=True)
        program = cls(folder)
        try:
            await program._launch(program._command_line(*args))
            await program.wait_for(event="line", text=lambda text: text.startswith(_STARTS))
        except BaseException:
            await program.stop()
            raise
        return program

    def _command_line(self, *args: str) -> Sequence[str]:
        password = private_file(self.folder / "rpc-password", PASSWORD)
        served = ["--mmrpc", f"127.0.0.1:{self.mmrpc_port}", "--rpc-password-file", str(password)]
        return super()._command_line(*served, *args)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.mmrpc_port}/"

    async def curl(self, body: str | bytes, *options: str, path: str = "") -> Answer:
        """One request as a person sends it; `options` of curl come before the address."""
        data = body.encode() if isinstance(body, str) else body
        command = ("--silent", "--max-time", "20", "--noproxy", "*", "--write-out", "\n%{http_code}", *options)
        process = await asyncio.create_subprocess_exec(
            *("curl", *command, *(() if "--request" in options else ("--data-binary", "@-")), self.url + path),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(DEADLINE_S * 2):
            output, _ = await process.communicate(data)
        text, _, status = output.decode().rpartition("\n")
        try:
            return Answer(int(status), json.loads(text))
        except json.JSONDecodeError:
            return Answer(int(status), text)

    async def mm(self, method: str, params: Any = None, *, request_id: int | None = None) -> Answer:
        """One mmrpc 2.0 request by curl."""
        return await self.curl(json.dumps(envelope(method, params, request_id)))

    async def legacy(self, method: str, **fields: Any) -> Answer:
        """One request without an envelope, by curl."""
        return await self.curl(json.dumps({"userpass": PASSWORD, "method": method, **fields}))

    @asynccontextmanager
    async def line(self) -> AsyncIterator[Line]:
        """A connection that stays open, for what is asked often."""
        timeout = aiohttp.ClientTimeout(total=DEADLINE_S * 2)
        async with aiohttp.ClientSession(
            timeout=timeout, connector=aiohttp.TCPConnector(limit=1, keepalive_timeout=3600.0)
        ) as session:
            yield Line(self.url, session)


class Line:
    """One connection to a node's mmrpc."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url = url
        self._session = session

    async def ask(self, body: Any) -> Answer:
        async with self._session.post(self._url, json=body) as response:
            return Answer(response.status, await response.json(content_type=None))

    async def mm(self, method: str, params: Any = None) -> Answer:
        """One mmrpc 2.0 request."""
        return await self.ask(envelope(method, params, None))

    async def init(self, ticker: str = "RBTC-lightning", **params: Any) -> int:
        """Begin an activation on a port of its own; the task's number."""
        wanted = {"name": "acceptance", "listening_port": 0, **params}
        answer = await self.mm(INIT, {"ticker": ticker, "activation_params": wanted})
        assert answer.status == 200, answer
        return int(answer.body["result"]["task_id"])

    async def until_ended(self, task_id: int) -> dict[str, Any]:
        """The last status of a task: what stands under `result`."""
        async with asyncio.timeout(DEADLINE_S * 4):
            while True:
                answer = await self.mm(STATUS, {"task_id": task_id, "forget_if_finished": False})
                assert answer.status == 200, answer
                if answer.body["result"]["status"] != "InProgress":
                    return dict(answer.body["result"])
                await asyncio.sleep(0.005)

    async def disable(self, ticker: str = "RBTC-lightning") -> Answer:
        """Take a coin down."""
        return await self.ask({"userpass": PASSWORD, "method": "disable_coin", "coin": ticker})


def envelope(method: str, params: Any = None, request_id: int | None = None) -> dict[str, Any]:
    """A request of mmrpc 2.0."""
    return {"userpass": PASSWORD, "mmrpc": "2.0", "method": method, "params": params, "id": request_id}


def private_file(path: Path, text: str) -> Path:
    """`text` in a file that only we can read."""
    path.touch(0o600)
    path.chmod(0o600)
    path.write_text(text)
    return path


def short_folder() -> tempfile.TemporaryDirectory[str]:
    """Short, because a unix socket's path may have 107 bytes."""
    return tempfile.TemporaryDirectory(prefix="ly-")
