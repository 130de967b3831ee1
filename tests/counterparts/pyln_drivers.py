"""pyln-proto as a raw peer and pyln-client as an RPC client, both in a Python of their own."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.counterparts.process import REPOSITORY, Counterpart, required

HERE = Path(__file__).parent


def pyln_python() -> Path:
    """The Python in which pyln-proto and pyln-client are installed."""
    default = REPOSITORY / ".bootstrap" / "pyln" / "bin" / "python"
    return required("pyln (PyPI pyln-proto, pyln-client)", Path(os.environ.get("LEYDEN_PYLN_PYTHON", default)))


class PylnPeer(Counterpart):
    """BOLT 8 by pyln-proto and nothing above it: it says what it is told to say, and logs every message it decrypts.

    Events: handshake, handshake failed, message (type, payload, count), closed (reason, messages_in, messages_out).
    Every event names its `connection`; commands act on the newest connection unless they name one.
    `start(folder, *options)`: the options of pyln_peer.py.
    """

    name = "pyln-proto"

    def _command_line(self, *args: str) -> Sequence[str]:
        # -P: the folder of the script is no place to import from
        return [str(pyln_python()), "-P", str(HERE / "pyln_peer.py"), "--log", str(self.log_file), *args]

    async def send(self, message: bytes, **where: int) -> None:
        """Sends one message, type included, as it is."""
        await self.command("send", message=message.hex(), **where)


class PylnClient(Counterpart):
    """pyln-client's LightningRpc on a unix socket: `start(folder, socket path)`.

    Events after `subscribe`: notification (method, params).
    """

    name = "pyln-client"

    def _command_line(self, *args: str) -> Sequence[str]:
        return [str(pyln_python()), "-P", str(HERE / "pyln_rpc.py"), "--log", str(self.log_file), *args]

    async def call(self, method: str, *, notify: bool = False, **params: Any) -> Any:
        """The result of pyln-client's Python method of that name; raises RpcFailed with the error object of the reply.

        With `notify` the call is made inside pyln-client's `notify()`, which enables notifications before the request.
        """
        answer = await self.command("call", method=method, params=params, notify=notify)
        if "error" in answer:
            raise RpcFailed(method, answer["error"])
        return answer["result"]

    async def error(self, method: str, **params: Any) -> dict[str, Any]:
        """The error object that the call is answered with; AssertionError when it succeeds."""
        try:
            result = await self.call(method, **params)
        except RpcFailed as failure:
            return failure.error
        raise AssertionError(f"{method} succeeded: {result}")

    async def raw(self, request: dict[str, Any]) -> dict[str, Any]:
        """The reply object to a request object that is sent as it is."""
        reply: dict[str, Any] = await self.command("raw", request=request)
        return reply

    async def subscribe(self) -> dict[str, Any]:
        """Enables notifications on a connection that stays open; gives the reply object."""
        reply: dict[str, Any] = await self.command("subscribe")
        return reply


class RpcFailed(AssertionError):
    """The node answered with an error; `error` is its error object: code, message, perhaps data."""

    def __init__(self, method: str, error: dict[str, Any]) -> None:
        super().__init__(f"{method}: {error}")
        self.error = error
