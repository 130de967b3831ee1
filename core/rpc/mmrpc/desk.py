"""From a parsed body to its reply: who asks, which method, and the refusals in the contract's order."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from core.base.serde import SerdeError
from core.rpc.mmrpc.base import Context, Handler, LegacyError, MmError
from core.rpc.mmrpc.envelope import BAD_REQUEST, failure, is_legacy, legacy_failure, read_request, success
from core.rpc.mmrpc.errors import FORBIDDEN, INTERNAL, to_mm_error
from core.rpc.mmrpc.guard import ATTEMPTS, Attempts, RpcPassword

logger = logging.getLogger(__name__)

OK = 200
MAX_BATCH = 50
"""Requests in one body."""


@dataclass(frozen=True, slots=True)
class Reply:
    """Of HTTP: the status and the JSON of the body."""

    status: int
    body: object


@dataclass(slots=True)
class Desk:
    """Answers requests against one node."""

    context: Context
    password: RpcPassword
    methods: Mapping[str, Handler]
    legacy: Mapping[str, Handler]
    attempts: Attempts = field(default_factory=Attempts)

    async def answer(self, value: object, address: str) -> Reply:
        """One request, or a batch of them, from the client at `address`."""
        if not isinstance(value, list):
            return await self._one(value, address)
        if len(value) > MAX_BATCH:
            return Reply(BAD_REQUEST, legacy_failure(f"A batch has at most {MAX_BATCH} requests"))
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(self._one(each, address)) for each in value]
        return Reply(OK, [each.result().body for each in running])

    def check(self, userpass: str | None, address: str) -> None:
        """Raises MmError unless the client is not banned and knows the password."""
        if self.attempts.is_banned(address):
            raise MmError(
                FORBIDDEN, "Banned", "Your ip is banned.", path="dispatcher", trace="dispatcher:103]", has_data=False
            )
        if userpass is None:
            raise MmError(
                FORBIDDEN,
                "UserpassIsNotSet",
                "Userpass is not set!",
                path="dispatcher",
                trace="dispatcher:118]",
                has_data=False,
            )
        if not self.password.matches(userpass):
            raise self._wrong(address)

    def _wrong(self, address: str) -> MmError:
        left = self.attempts.wrong(address)
        logger.warning("mmrpc: a wrong password from %s, attempts left: %d", address, left)
        return MmError(
            FORBIDDEN,
            "UserpassIsInvalid",
            f"Userpass is invalid! - Rate Limit attempts left: {left}",
            path="rate_limiter",
            trace=f"rate_limiter:{56 if left == ATTEMPTS - 1 else 50}]",
            data={"error_type": "NbAttemptsLeft", "error_data": left},
        )

    async def _one(self, value: object, address: str) -> Reply:
        if isinstance(value, dict) and is_legacy(value):
            reply = await self._legacy(value, address)
            if reply is not None:
                return reply
        request_id = None
        try:
            request = read_request(value)
            request_id = request.id
            self.check(request.userpass, address)
            handler = self._method(request.method)
            return Reply(OK, success(await handler(self.context, request.params), request_id))
        except Exception as error:  # noqa: BLE001 - whatever a method raises, the client gets a reply
            refusal = self._refusal(error)
            return Reply(refusal.status, failure(refusal, request_id))

    def _method(self, name: str) -> Handler:
        handler = self.methods.get(name)
        if handler is None:
            line = 372 if name.startswith("task::") else 464 if name.startswith("lightning::") else 271
            trace = f"dispatcher:{line}]"
            raise MmError(BAD_REQUEST, "NoSuchMethod", "No such method", path="dispatcher", trace=trace, has_data=False)
        return handler

    async def _legacy(self, request: dict[str, object], address: str) -> Reply | None:
        """The reply of the legacy dispatcher; None when it has no such method."""
        userpass, method = request.get("userpass"), request.get("method")
        try:
            self.check(userpass if isinstance(userpass, str) else None, address)
        except MmError as refused:
            return Reply(INTERNAL, legacy_failure(_legacy_refusal(refused)))
        handler = self.legacy.get(method) if isinstance(method, str) else None
        if handler is None:
            return None
        try:
            return Reply(OK, await handler(self.context, request))
        except LegacyError as error:
            words = str(error)
        except SerdeError as error:
            words = error.text
        except Exception as error:  # noqa: BLE001 - whatever a method raises, the client gets a reply
            words = self._refusal(error).text
        return Reply(INTERNAL, legacy_failure(f"rpc:195] RPC call failed: {words}"))

    def _refusal(self, error: Exception) -> MmError:
        refusal = to_mm_error(error, self.context.node.settings.mmrpc_texts)
        if refusal.kind == "Internal" and refusal.text == f"Internal error: {type(error).__name__}":
            logger.error("mmrpc: a method failed", exc_info=error)
        return refusal


def _legacy_refusal(refused: MmError) -> str:
    match refused.kind:
        case "Banned":
            return "rpc:195] Selected method is not allowed: Your IP is banned."
        case "UserpassIsNotSet":
            return f"rpc:195] RPC call failed: {refused.text}"
        case _:
            return f"rpc:195] RPC call failed: {refused.trace} {refused.text}"
