"""From the members of a request to something that can be run, with CLN's refusals (jsonrpc.c, parse_request)."""

from __future__ import annotations

from dataclasses import dataclass

from core.rpc.errors import INVALID_REQUEST, RpcError
from core.rpc.filters import Filter, parse_filter
from core.rpc.tokens import Kind, Token, member

NO_ID = "null"
"""The id of a reply to what has none."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request, sound in form."""

    id: str
    """As it was written, quotes included."""
    method: str
    params: Token
    filter: Filter | None


class Refused(Exception):
    """A request that is none; `id` is what the reply carries."""

    def __init__(self, request_id: str, error: RpcError) -> None:
        super().__init__(request_id, error)
        self.id = request_id
        self.error = error


def read_request(members: list[tuple[Token, Token]]) -> Request:
    """Raises Refused."""
    found_id = member(members, "id")
    if found_id is None:
        raise Refused(NO_ID, RpcError(INVALID_REQUEST, "No id"))
    if found_id.kind not in (Kind.STRING, Kind.PRIMITIVE):
        raise Refused(NO_ID, RpcError(INVALID_REQUEST, "Expected string/primitive for id"))
    version = member(members, "jsonrpc")
    if version is None or version.raw != '"2.0"':
        raise Refused(NO_ID, RpcError(INVALID_REQUEST, 'jsonrpc: "2.0" must be specified in the request'))
    try:
        return _read(found_id.raw, members)
    except RpcError as error:
        raise Refused(found_id.raw, error) from None


def _read(request_id: str, members: list[tuple[Token, Token]]) -> Request:
    method, params, wanted = (member(members, name) for name in ("method", "params", "filter"))
    if method is None:
        raise RpcError(INVALID_REQUEST, "No method")
    if params is None:
        raise RpcError(INVALID_REQUEST, "No params")
    if method.kind is not Kind.STRING:
        raise RpcError(INVALID_REQUEST, "Expected string for method")
    return Request(request_id, method.text, params, parse_filter(wanted) if wanted is not None else None)
