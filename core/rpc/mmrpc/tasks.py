"""`task::enable_lightning::{init,status,cancel,user_action}`, and how a task is shown to programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.activation.errors import TaskFinished, TaskNotFound
from core.activation.manager import TaskManager, TaskStatus
from core.activation.params import LightningParams, LightningResult
from core.activation.steps import ActivationStep
from core.base.events import TaskState
from core.base.serde import (
    Field,
    boolean,
    invalid_type,
    missing_field,
    nullable,
    string,
    struct,
    u16,
    u64,
    unknown_variant,
    usize,
)
from core.rpc.mmrpc.base import Context, Handler, MmError
from core.rpc.mmrpc.envelope import BAD_REQUEST, error_object
from core.rpc.mmrpc.errors import INTERNAL, NOT_FOUND, Refusal, to_mm_error

CONFLICT = 409
SUCCESS = "success"
_STATUSES = frozenset(ActivationStep)
_SECRETS = {"TrezorPin": "pin", "TrezorPassphrase": "passphrase"}


async def _init(context: Context, params: object) -> object:
    # Rust's `flatten` reads the outer fields before those it collects.
    client_id = struct(params, "RpcInitReq", (Field("client_id", u64, 0),), flat=True)["client_id"]
    fields = (Field("ticker", string), Field("activation_params", _activation_params))
    read = struct(params, "RpcInitReq", fields, flat=True)
    task_id = await context.node.init_lightning(read["ticker"], read["activation_params"])
    context.watch(task_id, client_id)
    return {"task_id": task_id}


def _activation_params(value: object) -> LightningParams:
    read = struct(
        value,
        "LightningActivationParams",
        (
            Field("name", string),
            Field("listening_port", nullable(u16), None),
            Field("color", nullable(string), None),
            Field("payment_retries", nullable(usize), None),
            Field("backup_path", nullable(string), None),
        ),
    )
    return LightningParams(**{name: value for name, value in read.items() if value is not None})


async def _status(context: Context, params: object) -> object:
    read = struct(
        params, "RpcTaskStatusRequest", (Field("task_id", u64), Field("forget_if_finished", boolean, default=True))
    )
    tasks, task_id = context.node.tasks, read["task_id"]
    try:
        status = tasks.status(task_id)
    except TaskNotFound:
        raise _no_such_task(task_id, BAD_REQUEST, "init_l2", "init_l2:135]") from None
    if read["forget_if_finished"]:
        tasks.forget(task_id)
    return status_object(status, context.node.settings.mmrpc_texts)


def status_object(status: TaskStatus, texts: str) -> dict[str, object]:
    """A task at one moment, as `::status` and the event stream give it."""
    details: object
    match status.state:
        case TaskState.OK:
            details = _result_object(status.result)
        case TaskState.ERROR:
            error = status.error
            assert isinstance(error, Exception)
            details = error_object(to_mm_error(error, texts))
        case _:
            # What the window's activation does before the eight steps belongs to the first of them here.
            details = status.status if status.status in _STATUSES else ActivationStep.ACTIVATING_COIN.value
    return {"status": status.state.value, "details": details}


def _result_object(result: object) -> dict[str, object]:
    assert isinstance(result, LightningResult)
    balance = {"spendable": result.spendable, "unspendable": result.unspendable}
    return {"platform_coin": result.platform_coin, "address": result.address, "balance": balance}


async def _cancel(context: Context, params: object) -> object:
    task_id = struct(params, "CancelRpcTaskRequest", (Field("task_id", u64),))["task_id"]
    tasks = context.node.tasks
    if tasks.is_cancelling(task_id):
        raise _unexpected(task_id, "Cancelled", "InProgress", "init_l2:159] manager:154]")
    try:
        await tasks.cancel(task_id)
    except TaskNotFound:
        raise _no_such_task(task_id, NOT_FOUND, "init_l2.manager", "init_l2:159] manager:157]") from None
    except TaskFinished:
        finished = Refusal(
            CONFLICT,
            "TaskFinished",
            "Task is finished already",
            "init_l2.manager",
            "init_l2:159] manager:148]",
            task_id,
            seed_trace="init_l2:157] manager:104]",
        )
        raise finished.chosen(context.node.settings.mmrpc_texts) from None
    return SUCCESS


async def _user_action(context: Context, params: object) -> object:
    fields = (Field("task_id", u64), Field("user_action", _check_action))
    task_id = struct(params, "RpcTaskUserActionRequest", fields)["task_id"]
    raise _unexpected(task_id, _actual(context.node.tasks, task_id), "AwaitingUserAction", "init_l2:177] manager:170]")


def _check_action(value: object) -> None:
    """That it is an action there is; no task here ever waits for one, so what it says is not kept."""
    if not isinstance(value, Mapping):
        raise invalid_type(value, "internally tagged enum HwRpcTaskUserAction")
    if "action_type" not in value:
        raise missing_field("action_type")
    kind: Any = string(value["action_type"])
    if kind not in _SECRETS:
        raise unknown_variant(kind, tuple(_SECRETS))
    struct(dict(value), "HwRpcTaskUserAction", (Field(_SECRETS[kind], string),))


def _actual(tasks: TaskManager, task_id: int) -> str:
    if tasks.is_cancelling(task_id):
        return "Cancelled"
    try:
        state = tasks.status(task_id).state
    except TaskNotFound:
        raise _no_such_task(task_id, BAD_REQUEST, "init_l2.manager", "init_l2:177] manager:164]") from None
    return "InProgress" if state is TaskState.IN_PROGRESS else "Finished"


def _no_such_task(task_id: int, status: int, path: str, trace: str) -> MmError:
    return MmError(status, "NoSuchTask", f"No such task '{task_id}'", path=path, trace=trace, data=task_id)


def _unexpected(task_id: int, actual: str, expected: str, trace: str) -> MmError:
    words = f"RPC '{task_id}' task is in unexpected status. Actual: '{actual}', expected: '{expected}'"
    return MmError(INTERNAL, "Internal", f"Internal error: {words}", path="init_l2.manager", trace=trace, data=words)


TASKS: dict[str, Handler] = {
    "task::enable_lightning::init": _init,
    "task::enable_lightning::status": _status,
    "task::enable_lightning::cancel": _cancel,
    "task::enable_lightning::user_action": _user_action,
}
