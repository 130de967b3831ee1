"""One row of the error table, and those rows that need nothing but a request: sections 2, 3 and 9 of the contract."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from tests.acceptance.mmrpc_program import ACTION, CANCEL, INIT, PASSWORD, STATUS, Answer, envelope

NO_DATA: Any = object()
_TRACE = re.compile(r"(\w+:\d+\])( \w+:\d+\])*")
SIGNET = "signet and testnet4 stand at the end of the list of networks: the issue adds them"


@dataclass(frozen=True, slots=True)
class Expected:
    """An envelope's refusal; with `bare` the whole body of one without an envelope."""

    status: int
    kind: str = ""
    text: str = ""
    data: Any = NO_DATA
    path: str = ""
    bare: Any = None

    def matches(self, answer: Answer) -> bool:
        """Trace by its shape alone."""
        if answer.status != self.status:
            return False
        if not self.kind:
            return bool(answer.body == self.bare)
        return self.is_told_by(answer.body) and answer.body.get("mmrpc") == "2.0" and "id" in answer.body

    def is_told_by(self, body: Any) -> bool:
        """Whether an error object says this."""
        if not isinstance(body, dict) or not _TRACE.fullmatch(str(body.get("error_trace"))):
            return False
        found = (body.get("error_type"), body.get("error"), body.get("error_data", NO_DATA))
        if found != (self.kind, self.text, self.data):
            return False
        # Every file of the path is in the trace, newest first.
        stems = [each.partition(":")[0] for each in body["error_trace"].split()]
        collapsed = [stem for at, stem in enumerate(stems) if not at or stems[at - 1] != stem]
        return body["error_path"] == ".".join(collapsed) and (not self.path or body["error_path"] == self.path)

    def __str__(self) -> str:
        if not self.kind:
            return f"{self.status} {json.dumps(self.bare)}"
        data = "no data" if self.data is NO_DATA else json.dumps(self.data)
        return f"{self.status} {self.kind} {self.text!r} {data} {self.path}"


@dataclass(frozen=True, slots=True)
class Row:
    """A request and what answers it."""

    section: str
    request: str | dict[str, Any]
    expected: Expected
    safer: str = ""
    """Why ours is meant to be another than upstream's; `expected` is ours then."""
    options: tuple[str, ...] = ()
    """Of curl."""


def invalid(serde: str, path: str = "dispatcher") -> Expected:
    """Something in a request that cannot be read."""
    return Expected(400, "InvalidRequest", f"Error parsing request: {serde}", serde, path)


def internal(text: str, path: str = "", data: str | None = None) -> Expected:
    return Expected(500, "Internal", text, text if data is None else data, path)


def no_such_task(number: int, status: int, path: str) -> Expected:
    return Expected(status, "NoSuchTask", f"No such task '{number}'", number, path)


def init(ticker: str = "tBTC-lightning", **params: Any) -> dict[str, Any]:
    return envelope(INIT, {"ticker": ticker, "activation_params": {"name": "n", **params}})


def parameter_rows(texts: str) -> list[Row]:
    """Section 3: every text for bad params, of each of the four calls."""
    whole = "9735" if texts == "seed" else "9735.0"
    ports: list[tuple[Any, str]] = [
        ("9735", 'invalid type: string "9735", expected u16'),
        (65536, "invalid value: integer `65536`, expected u16"),
        (-1, "invalid value: integer `-1`, expected u16"),
        (9735.5, "invalid type: floating point `9735.5`, expected u16"),
        (9735.0, f"invalid type: floating point `{whole}`, expected u16"),
        (True, "invalid type: boolean `true`, expected u16"),
    ]
    rows = [Row("3 params", init(listening_port=port), invalid(words)) for port, words in ports]
    others: list[tuple[dict[str, Any], str]] = [
        ({"name": 1}, "invalid type: integer `1`, expected a string"),
        ({"name": None}, "invalid type: null, expected a string"),
        ({"payment_retries": "5"}, 'invalid type: string "5", expected usize'),
        ({"payment_retries": -5}, "invalid value: integer `-5`, expected usize"),
    ]
    rows += [Row("3 params", init(**params), invalid(words)) for params, words in others]
    bodies: list[tuple[str, Any, str]] = [
        (INIT, {"ticker": "x", "activation_params": {}}, "missing field `name`"),
        (INIT, {"activation_params": {"name": "n"}}, "missing field `ticker`"),
        (INIT, {"ticker": "x"}, "missing field `activation_params`"),
        (
            INIT,
            {"ticker": "x", "activation_params": None},
            "invalid type: null, expected struct LightningActivationParams",
        ),
        (INIT, None, "invalid type: null, expected struct RpcInitReq"),
        (
            INIT,
            {"ticker": "x", "activation_params": {"name": "n"}, "client_id": "1"},
            'invalid type: string "1", expected u64',
        ),
        (STATUS, {}, "missing field `task_id`"),
        (STATUS, {"task_id": "1"}, 'invalid type: string "1", expected u64'),
        (STATUS, {"task_id": -1}, "invalid value: integer `-1`, expected u64"),
        (STATUS, None, "invalid type: null, expected struct RpcTaskStatusRequest"),
        (STATUS, {"task_id": 1, "forget_if_finished": "false"}, 'invalid type: string "false", expected a boolean'),
        (CANCEL, None, "invalid type: null, expected struct CancelRpcTaskRequest"),
        (ACTION, {"task_id": 1}, "missing field `user_action`"),
        (ACTION, {"task_id": 1, "user_action": {}}, "missing field `action_type`"),
        (
            ACTION,
            {"task_id": 1, "user_action": {"action_type": "Foo"}},
            "unknown variant `Foo`, expected `TrezorPin` or `TrezorPassphrase`",
        ),
        (ACTION, {"task_id": 1, "user_action": {"action_type": "TrezorPin"}}, "missing field `pin`"),
    ]
    rows += [Row("3 params", envelope(method, params), invalid(words)) for method, params, words in bodies]
    for positional in ([41], [41, False]):  # serde takes a struct's fields by position too
        rows.append(Row("3 params", envelope(STATUS, positional), no_such_task(41, 400, "init_l2")))
    return rows


def unknown_task_rows() -> list[Row]:
    """Section 1, before there is any task."""
    action = {"action_type": "TrezorPin", "pin": "1"}
    return [
        Row("1 tasks", envelope(STATUS, {"task_id": 7}), no_such_task(7, 400, "init_l2")),
        Row("1 tasks", envelope(CANCEL, {"task_id": 7}), no_such_task(7, 404, "init_l2.manager")),
        Row("1 tasks", envelope(ACTION, {"task_id": 7, "user_action": action}), no_such_task(7, 400, "")),
    ]


def envelope_rows() -> list[Row]:
    """Section 9, but for wrong passwords."""
    good = envelope(STATUS, {"task_id": 7})
    fields = "`mmrpc`, `userpass`, `method`, `params`, `id`"
    version = "unknown variant `1.0`, expected `2.0`"
    number = "invalid type: integer `2`, expected string or map"
    method = {key: value for key, value in good.items() if key != "method"}
    legacy = {key: value for key, value in good.items() if key != "mmrpc"}
    no_method = Expected(400, "NoSuchMethod", "No such method", path="dispatcher")
    only_post = Expected(500, bare={"error": "rpc:244] Only POST requests are supported!"})
    return [
        Row("9 body", "x", Expected(500, bare={"error": "expected value at line 1 column 1"})),
        Row("9 body", "", Expected(500, bare={"error": "EOF while parsing a value at line 1 column 0"})),
        Row(
            "9 body",
            "",
            Expected(500, bare={"error": "EOF while parsing a value at line 1 column 0"}),
            options=("--request", "GET"),
        ),
        Row("9 body", good, only_post, options=("--request", "PUT", "--data-binary", "@-")),
        Row("9 body", "[]", Expected(200, bare=[])),
        Row(
            "9 body",
            "7",
            invalid("invalid type: integer `7`, expected struct MmRpcRequest"),
            safer="upstream panics and answers 500 with plain text",
        ),
        Row(
            "9 envelope",
            {**good, "mmrpc": "1.0"},
            Expected(400, "InvalidMmRpcVersion", f"Error parsing mmrpc version: {version}", version, "rpc"),
        ),
        Row(
            "9 envelope",
            {**good, "mmrpc": 2},
            Expected(400, "InvalidMmRpcVersion", f"Error parsing mmrpc version: {number}", number, "rpc"),
        ),
        Row("9 envelope", {**good, "foo": 1}, invalid(f"unknown field `foo`, expected one of {fields}")),
        Row("9 envelope", {**good, "id": "5"}, invalid('invalid type: string "5", expected usize')),
        Row("9 envelope", {**good, "id": -1}, invalid("invalid value: integer `-1`, expected usize")),
        Row("9 envelope", method, invalid("missing field `method`")),
        *(
            Row("9 method", envelope(name), no_method)
            for name in ("task::enable_lightning::nope", "lightning::nope", "nope")
        ),
        Row("9 method", legacy, no_such_task(7, 400, "init_l2")),
        Row("9 method", {"userpass": PASSWORD, "method": "nope"}, no_method),
        Row(
            "7 my_balance",
            {"userpass": PASSWORD, "method": "my_balance", "coin": "X"},
            Expected(500, bare={"error": "rpc:195] RPC call failed: legacy:239] No such coin: X"}),
        ),
    ]


def password_rows() -> list[Row]:
    """Section 9: who may ask. They end with a ban, so they come last; the legacy rows count in the same table."""
    good = envelope(STATUS, {"task_id": 7})
    unset = {**good, "userpass": None}
    wrong = {**good, "userpass": "no"}
    legacy = {"method": "my_balance", "coin": "X"}
    failed = "rpc:195] RPC call failed:"
    rows = [
        Row("9 password", unset, Expected(403, "UserpassIsNotSet", "Userpass is not set!")),
        Row("9 password", legacy, Expected(500, bare={"error": f"{failed} Userpass is not set!"})),
    ]
    for left in range(9, -1, -1):
        text = f"Userpass is invalid! - Rate Limit attempts left: {left}"
        data = {"error_type": "NbAttemptsLeft", "error_data": left}
        if left == 4:
            bare = {"error": f"{failed} rate_limiter:50] {text}"}
            rows.append(Row("9 password", {**legacy, "userpass": "no"}, Expected(500, bare=bare)))
        else:
            rows.append(Row("9 password", wrong, Expected(403, "UserpassIsInvalid", text, data, "rate_limiter")))
    banned = Expected(403, "Banned", "Your ip is banned.")
    gone = {"error": "rpc:195] Selected method is not allowed: Your IP is banned."}
    return [
        *rows,
        Row("9 password", wrong, banned),
        Row("9 password", good, banned),
        Row("9 password", {**legacy, "userpass": PASSWORD}, Expected(500, bare=gone)),
    ]
