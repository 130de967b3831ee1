"""mmrpc's envelope: what a request holds, and how replies are written. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from core.base.serde import Field, SerdeError, anything, invalid_type, nullable, string, struct, unknown_variant, usize
from core.rpc.mmrpc.base import MmError

VERSION = "2.0"
BAD_REQUEST = 400
_FIELDS = (
    Field("mmrpc", anything),
    Field("userpass", nullable(string), None),
    Field("method", string),
    Field("params", anything, None),
    Field("id", nullable(usize), None),
)


@dataclass(frozen=True, slots=True, repr=False)
class Request:
    """One mmrpc 2.0 request; never shown, it carries the password."""

    userpass: str | None
    method: str
    params: object
    id: int | None


def is_legacy(value: object) -> bool:
    """Whether the legacy methods are asked first: there is no `mmrpc`."""
    return isinstance(value, dict) and value.get("mmrpc") is None


def read_request(value: object) -> Request:
    """`value` as a request of mmrpc 2.0, `mmrpc` itself optional. Raises MmError."""
    if isinstance(value, dict):
        value = {**value, "mmrpc": _version(value.get("mmrpc", VERSION))}
    try:
        fields = struct(value, "MmRpcRequest", _FIELDS, deny_unknown=True, flat=True)
    except SerdeError as error:
        raise InvalidRequest(error, trace="dispatcher:84]") from None
    return Request(fields["userpass"], fields["method"], fields["params"], fields["id"])


class InvalidRequest(MmError):
    """Something in a request is not what it should be; its text is chosen when it is told."""

    def __init__(self, error: SerdeError, *, trace: str = "dispatcher:125]") -> None:
        text = f"Error parsing request: {error.text}"
        super().__init__(BAD_REQUEST, "InvalidRequest", text, path="dispatcher", trace=trace, data=error.text)
        self.error = error


def _version(value: object) -> str:
    if value is None or value == VERSION:
        return VERSION
    if isinstance(value, str):
        words = unknown_variant(value, (VERSION,)).text
    else:
        words = invalid_type(value, "string or map").text
    raise MmError(
        BAD_REQUEST,
        "InvalidMmRpcVersion",
        f"Error parsing mmrpc version: {words}",
        path="rpc",
        trace="rpc:204]",
        data=words,
    )


def success(result: object, request_id: int | None) -> dict[str, object]:
    """The body of a reply."""
    return {"mmrpc": VERSION, "result": result, "id": request_id}


def failure(error: MmError, request_id: int | None) -> dict[str, object]:
    """The body of a refusal."""
    return {"mmrpc": VERSION, **error_object(error), "id": request_id}


def error_object(error: MmError) -> dict[str, object]:
    """What a refusal says, its keys in the contract's order."""
    body: dict[str, object] = {
        "error": error.text,
        "error_path": error.path,
        "error_trace": error.trace,
        "error_type": error.kind,
    }
    if error.has_data:
        body["error_data"] = error.data
    return body


def legacy_failure(words: str) -> dict[str, object]:
    """The body of a refusal without an envelope."""
    return {"error": words}
