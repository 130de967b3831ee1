"""Calls of Bitcoin Core's JSON-RPC over HTTP: the login, one request or several in one, and what can go wrong.

Every failure has a type of its own: no connection, no answer in time, a login that is not taken, a broken answer.
"""

from __future__ import annotations

import asyncio
import base64
import importlib
import json
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from core.base.finish import finish
from core.chain.errors import ServerLied, ServerRefused, ServerStalled, ServerUnreachable, WrongPassword
from core.storage.files import open_regular

_LONGEST_ANSWER_BYTES = 16 * 1024 * 1024
"""Twice what the largest block has in hex."""
_PARSED_IN_LOOP_BYTES = 256 * 1024
"""About 1 ms of work."""
_LONGEST_LOGIN_BYTES = 4096
_LONGEST_REASON = 200
_UNAUTHORISED = 401
_FORBIDDEN = 403


@dataclass(frozen=True, slots=True)
class RpcServer:
    """Where Bitcoin Core listens for RPC; plain HTTP, so on this computer."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Login:
    """User and password; the password is in no repr."""

    user: str
    password: bytes = field(repr=False)

    def header(self) -> str:
        """For HTTP's `Authorization`."""
        return "Basic " + base64.b64encode(self.user.encode() + b":" + self.password).decode("ascii")


ReadLogin = Callable[[], Awaitable[Login]]
"""Reads the login; it is asked again when the server no longer takes what it gave. Raises OSError, ValueError."""


def cookie_login(path: Path) -> ReadLogin:
    """Bitcoin Core's own `.cookie`, which it writes anew at each start: `__cookie__:` and a password."""

    async def read() -> Login:
        user, separator, password = (await _read(path)).partition(b":")
        if not separator:
            raise ValueError("it is no cookie file")
        return Login(user.decode("ascii", "replace"), password)

    return read


def password_login(user: str, path: Path) -> ReadLogin:
    """A user of Bitcoin Core's `rpcauth` or `rpcuser`, with the password in a file of its own."""

    async def read() -> Login:
        return Login(user, await _read(path))

    return read


async def _read(path: Path) -> bytes:
    """The file's first line."""

    def read() -> bytes:
        with open_regular(path) as file:
            return file.read(_LONGEST_LOGIN_BYTES).split(b"\n", 1)[0].rstrip(b"\r")

    return await finish(asyncio.to_thread(read))


async def load_http() -> None:
    """Import the HTTP library, which takes about 0.1 s: neither at every start nor in the loop."""
    await finish(asyncio.to_thread(importlib.import_module, "aiohttp"))


class RpcClient:
    """One HTTP client for one server; `load_http` comes first."""

    def __init__(self, server: RpcServer, login: ReadLogin, *, timeout_s: float) -> None:
        import aiohttp

        self.name = str(server)
        self._url = f"http://{server}/"
        self._read_login = login
        self._login: Login | None = None
        self._timeout_s = timeout_s
        # A connection for each request: Bitcoin Core closes idle ones, and one that just closes would lose a request.
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(force_close=True),
            timeout=aiohttp.ClientTimeout(total=timeout_s),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        self._last_id = 0

    async def call(self, method: str, *params: object) -> Any:
        """The result. Raises ServerRefused, ServerUnreachable, ServerStalled, ServerLied, WrongPassword."""
        return (await self.batch([(method, params)]))[0]

    async def batch(self, calls: Sequence[tuple[str, Sequence[object]]]) -> list[Any]:
        """The results of several calls, in their order; raises as `call` does, for the first that failed."""
        results = await self.batch_of_any(calls)
        for result in results:
            if isinstance(result, ServerRefused):
                raise result
        return results

    async def batch_of_any(self, calls: Sequence[tuple[str, Sequence[object]]]) -> list[Any]:
        """The same where one may fail and the others not: ServerRefused stands in its place."""
        first = self._last_id + 1
        self._last_id += len(calls)
        requests = [
            {"jsonrpc": "1.0", "id": first + number, "method": method, "params": list(params)}
            for number, (method, params) in enumerate(calls)
        ]
        status, body = await self._post(json.dumps(requests[0] if len(requests) == 1 else requests).encode())
        if len(body) > _PARSED_IN_LOOP_BYTES:
            answers = await finish(asyncio.to_thread(self._parse, status, body))
        else:
            answers = self._parse(status, body)
        by_id = {answer.get("id"): answer for answer in answers if isinstance(answer, dict)}
        return [self._result(by_id.get(request["id"])) for request in requests]

    async def aclose(self) -> None:
        await self._session.close()

    async def _post(self, body: bytes) -> tuple[int, bytes]:
        """Status and body of the answer; a login that is not taken is read anew once."""
        known = self._login is not None
        login = self._login or await self._fresh_login()
        status, answer = await self._exchange(body, login)
        if status == _UNAUTHORISED and known:
            status, answer = await self._exchange(body, await self._fresh_login())
        if status == _UNAUTHORISED:
            self._login = None
            raise WrongPassword(server=self.name)
        return status, answer

    async def _fresh_login(self) -> Login:
        try:
            self._login = await self._read_login()
        except (OSError, ValueError) as error:
            reason = f"its password cannot be read: {getattr(error, 'strerror', None) or error}"
            raise ServerUnreachable(server=self.name, reason=reason) from error
        return self._login

    async def _exchange(self, body: bytes, login: Login) -> tuple[int, bytes]:
        import aiohttp

        if self._session.closed:
            raise ServerUnreachable(server=self.name, reason="no longer asked")
        headers = {"Authorization": login.header(), "Content-Type": "application/json"}
        try:
            async with self._session.post(self._url, data=body, headers=headers, allow_redirects=False) as response:
                answer = bytearray()
                async for piece in response.content.iter_any():
                    answer += piece
                    if len(answer) > _LONGEST_ANSWER_BYTES:
                        raise ServerLied(server=self.name, reason="answers with more than any block has")
                return response.status, bytes(answer)
        except TimeoutError as error:
            raise ServerStalled(server=self.name, timeout_s=self._timeout_s) from error
        except aiohttp.ClientConnectionError as error:
            raise ServerUnreachable(server=self.name, reason=_why(error)) from error
        except aiohttp.ClientError as error:
            raise ServerLied(server=self.name, reason=f"does not speak HTTP: {type(error).__name__}") from error

    def _parse(self, status: int, body: bytes) -> list[Any]:
        """The answers; Bitcoin Core gives errors as JSON too, under several statuses."""
        try:
            answers = json.loads(body, parse_float=Decimal)
        except (ValueError, RecursionError) as error:
            if status == _FORBIDDEN:
                reason = "does not serve this computer (its rpcallowip)"
                raise ServerRefused(server=self.name, reason=reason) from error
            if status != 200:
                said = body[:_LONGEST_REASON].decode("utf-8", "replace").strip()
                raise ServerRefused(server=self.name, reason=f"HTTP status {status}: {said}") from error
            raise ServerLied(server=self.name, reason="its answer is no JSON") from error
        return answers if isinstance(answers, list) else [answers]

    def _result(self, answer: dict[str, Any] | None) -> Any:
        """Or ServerRefused, not raised."""
        if answer is None:
            raise ServerLied(server=self.name, reason="it answers something else than what it was asked")
        error = answer.get("error")
        if error is None:
            return answer.get("result")
        facts = error if isinstance(error, dict) else {}
        code, message = facts.get("code"), str(facts.get("message"))[:_LONGEST_REASON]
        return ServerRefused(server=self.name, reason=message, code=code if isinstance(code, int) else 0)


def _why(error: Exception) -> str:
    """The system's own words where there are any: aiohttp's name its settings and repeat the address."""
    number = getattr(error, "errno", None)
    return os.strerror(number) if number else str(error) or "it closed the connection"
