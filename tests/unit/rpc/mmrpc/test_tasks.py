"""`task::enable_lightning` over HTTP: init's parameters, status, cancel and user_action as the contract has them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from core.activation.manager import TaskHandle
from core.activation.params import LightningParams
from core.activation.steps import OWN_START, PLATFORM_COIN
from core.base.events import StepState
from core.peers.errors import ListenFailed
from tests.unit.rpc.mmrpc.parts import CANCEL, INIT, RESULT, STATUS, USER_ACTION, Rpc, served

GOOD: dict[str, Any] = {"ticker": "T", "activation_params": {"name": "x"}}
DONE = {
    "status": "Ok",
    "details": {
        "platform_coin": "RBTC-segwit",
        "address": "02" * 33,
        "balance": {"spendable": "0", "unspendable": "0.00000001"},
    },
}


def _with(**params: object) -> dict[str, Any]:
    return {"ticker": "T", "activation_params": {"name": "x", **params}}


async def _status(rpc: Rpc, task_id: int, *, forget: bool = False) -> Any:
    status, body = await rpc.call(STATUS, {"task_id": task_id, "forget_if_finished": forget})
    return body["result"] if status == 200 else (status, body)


async def _turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("params", "read"),
    [
        (_with(), LightningParams("x")),
        (_with(unknown=1), LightningParams("x")),
        (_with(listening_port=None, color=None, payment_retries=None, backup_path=None), LightningParams("x")),
        (
            _with(listening_port=0, color="3a4bD0", payment_retries=7, backup_path="/b"),
            LightningParams("x", 0, "3a4bD0", 7, "/b"),
        ),
        ({"ticker": "T", "activation_params": ["y", 1, None]}, LightningParams("y", 1)),
    ],
)
async def test_init_reads_its_parameters_and_gives_the_tasks_number(
    params: dict[str, Any], read: LightningParams
) -> None:
    async with served() as rpc:
        assert await rpc.call(INIT, params, id=2) == (200, {"mmrpc": "2.0", "result": {"task_id": 0}, "id": 2})
        assert rpc.node.asked == [("T", read)]


@pytest.mark.parametrize(
    ("params", "words"),
    [
        (_with(listening_port="9735"), 'invalid type: string "9735", expected u16'),
        (_with(listening_port=65536), "invalid value: integer `65536`, expected u16"),
        (_with(listening_port=-1), "invalid value: integer `-1`, expected u16"),
        (_with(listening_port=9735.5), "invalid type: floating point `9735.5`, expected u16"),
        (_with(listening_port=True), "invalid type: boolean `true`, expected u16"),
        (_with(name=1), "invalid type: integer `1`, expected a string"),
        (_with(name=None), "invalid type: null, expected a string"),
        (_with(payment_retries="5"), 'invalid type: string "5", expected usize'),
        (_with(payment_retries=-5), "invalid value: integer `-5`, expected usize"),
        ({"ticker": "T", "activation_params": {}}, "missing field `name`"),
        ({"activation_params": {"name": "x"}}, "missing field `ticker`"),
        ({"ticker": "T"}, "missing field `activation_params`"),
        ({**GOOD, "activation_params": None}, "invalid type: null, expected struct LightningActivationParams"),
        (None, "invalid type: null, expected struct RpcInitReq"),
        ([], "invalid type: sequence, expected struct RpcInitReq"),
        ({**GOOD, "client_id": "1"}, 'invalid type: string "1", expected u64'),
        ({"client_id": "1"}, 'invalid type: string "1", expected u64'),
        ({"ticker": 1, "activation_params": {"name": "x"}}, "invalid type: integer `1`, expected a string"),
    ],
)
async def test_init_refuses_bad_parameters_in_serdes_words(params: object, words: str) -> None:
    async with served() as rpc:
        assert await rpc.call(INIT, params, id=762) == (
            400,
            {
                "mmrpc": "2.0",
                "error": f"Error parsing request: {words}",
                "error_path": "dispatcher",
                "error_trace": "dispatcher:110]",
                "error_type": "InvalidRequest",
                "error_data": words,
                "id": 762,
            },
        )
        assert rpc.node.asked == []


@pytest.mark.parametrize(
    ("method", "params", "words"),
    [
        (STATUS, {}, "missing field `task_id`"),
        (STATUS, {"task_id": "1"}, 'invalid type: string "1", expected u64'),
        (STATUS, {"task_id": -1}, "invalid value: integer `-1`, expected u64"),
        (STATUS, {"task_id": 2**64}, "invalid type: floating point `18446744073709552000`, expected u64"),
        (STATUS, None, "invalid type: null, expected struct RpcTaskStatusRequest"),
        (STATUS, [], "invalid length 0, expected struct RpcTaskStatusRequest with 2 elements"),
        (STATUS, [1, True, 2], "invalid length 3, expected fewer elements in array"),
        (STATUS, {"task_id": 1, "forget_if_finished": "false"}, 'invalid type: string "false", expected a boolean'),
        (CANCEL, None, "invalid type: null, expected struct CancelRpcTaskRequest"),
        (USER_ACTION, {"task_id": 1}, "missing field `user_action`"),
        (USER_ACTION, {"task_id": 1, "user_action": {}}, "missing field `action_type`"),
        (
            USER_ACTION,
            {"task_id": 1, "user_action": {"action_type": "Foo"}},
            "unknown variant `Foo`, expected `TrezorPin` or `TrezorPassphrase`",
        ),
        (USER_ACTION, {"task_id": 1, "user_action": {"action_type": "TrezorPin"}}, "missing field `pin`"),
        (
            USER_ACTION,
            {"task_id": 1, "user_action": {"action_type": "TrezorPassphrase", "pin": "1"}},
            "missing field `passphrase`",
        ),
    ],
)
async def test_the_other_calls_refuse_bad_parameters_in_serdes_words(method: str, params: object, words: str) -> None:
    async with served() as rpc:
        status, body = await rpc.call(method, params)
        assert (status, body["error_type"], body["error_data"]) == (400, "InvalidRequest", words)


async def test_a_whole_floating_number_is_worded_as_its_serde_did() -> None:
    for texts, shown, line in (("seed", "2", 110), ("current", "2.0", 125)):
        async with served(mmrpc_texts=texts) as rpc:
            _, body = await rpc.call(STATUS, {"task_id": 2.0})
            assert body["error_data"] == f"invalid type: floating point `{shown}`, expected u64"
            assert body["error_trace"] == f"dispatcher:{line}]"


async def test_a_task_is_seen_from_the_moment_init_answers_until_it_is_ok() -> None:
    async with served() as rpc:
        task_id = await rpc.init()
        assert await _status(rpc, task_id) == {"status": "InProgress", "details": "ActivatingCoin"}
        rpc.node.advance.set()
        await _turns()
        assert await _status(rpc, task_id) == {"status": "InProgress", "details": "GettingFeesFromRPC"}
        rpc.node.end.set_result(RESULT)
        await _turns()
        assert await _status(rpc, task_id) == DONE
        assert await _status(rpc, task_id) == DONE


async def test_the_default_forgets_a_finished_task_and_keeps_a_running_one() -> None:
    async with served() as rpc:
        task_id = await rpc.init()
        for _ in range(2):
            assert (await _status(rpc, task_id, forget=True))["status"] == "InProgress"
        rpc.node.advance.set()
        rpc.node.end.set_result(RESULT)
        await _turns()
        assert (await rpc.call(STATUS, [task_id]))[1]["result"] == DONE
        status, body = await rpc.call(STATUS, {"task_id": task_id})
        assert (status, body["error"], body["error_type"]) == (400, f"No such task '{task_id}'", "NoSuchTask")


async def test_what_ended_a_task_is_told_with_http_200_and_no_envelope_inside() -> None:
    async with served() as rpc:
        task_id = await rpc.init()
        rpc.node.advance.set()
        rpc.node.end.set_exception(ListenFailed(address="127.0.0.1:9735", errno=98, reason="Address already in use"))
        await _turns()
        assert await _status(rpc, task_id) == {
            "status": "Error",
            "details": {
                "error": "I/O error Address already in use (os error 98)",
                "error_path": "lib.lightning_activation.ln_p2p",
                "error_trace": "lib:103] lightning_activation:280] ln_p2p:196]",
                "error_type": "Internal",
                "error_data": "I/O error Address already in use (os error 98)",
            },
        }


async def test_an_unknown_task_is_400_for_status_and_user_action_and_404_for_cancel() -> None:
    async with served() as rpc:
        error = {"error": "No such task '7'", "error_type": "NoSuchTask", "error_data": 7}
        action = {"task_id": 7, "user_action": {"action_type": "TrezorPin", "pin": "1"}}
        for method, params, code, path, trace in (
            (STATUS, {"task_id": 7}, 400, "init_l2", "init_l2:135]"),
            (CANCEL, {"task_id": 7}, 404, "init_l2.manager", "init_l2:159] manager:157]"),
            (USER_ACTION, action, 400, "init_l2.manager", None),
        ):
            status, body = await rpc.call(method, params)
            assert (status, body["error_path"]) == (code, path)
            assert trace in (None, body["error_trace"])
            assert {key: body[key] for key in error} == error


async def test_cancel_says_success_once_everything_is_released_and_the_task_is_gone() -> None:
    async with served() as rpc:
        task_id = await rpc.init()
        assert await rpc.call(CANCEL, {"task_id": task_id}) == (200, {"mmrpc": "2.0", "result": "success", "id": None})
        assert rpc.node.tasks.steps(task_id)[0].state is StepState.CANCELLED
        assert (await _status(rpc, task_id))[0] == 400
        status, body = await rpc.call(CANCEL, {"task_id": task_id})
        assert (status, body["error_type"]) == (404, "NoSuchTask")


async def test_while_a_task_is_being_cancelled_it_is_unknown_and_a_second_cancel_is_internal() -> None:
    async with served() as rpc:
        task_id = await rpc.init()
        await _turns()
        rpc.node.release.clear()
        first = asyncio.create_task(rpc.call(CANCEL, {"task_id": task_id}))
        while not rpc.node.tasks.is_cancelling(task_id):
            await asyncio.sleep(0)
        assert (await _status(rpc, task_id))[1]["error_type"] == "NoSuchTask"
        words = "task is in unexpected status. Actual: 'Cancelled', expected: "
        status, body = await rpc.call(CANCEL, {"task_id": task_id})
        assert (status, body["error_type"]) == (500, "Internal")
        assert body["error_data"] == f"RPC '{task_id}' {words}'InProgress'"
        assert body["error"] == f"Internal error: {body['error_data']}"
        action = {"task_id": task_id, "user_action": {"action_type": "TrezorPin", "pin": "1"}}
        assert (await rpc.call(USER_ACTION, action))[1]["error_data"] == f"RPC '{task_id}' {words}'AwaitingUserAction'"
        rpc.node.release.set()
        assert (await first)[1]["result"] == "success"


async def test_a_finished_task_cannot_be_cancelled_and_stays() -> None:
    async with served() as rpc:
        task_id = await rpc.init()
        rpc.node.advance.set()
        rpc.node.end.set_result(RESULT)
        await _turns()
        assert await rpc.call(CANCEL, {"task_id": task_id}) == (
            409,
            {
                "mmrpc": "2.0",
                "error": "Task is finished already",
                "error_path": "init_l2.manager",
                "error_trace": "init_l2:157] manager:104]",
                "error_type": "TaskFinished",
                "error_data": task_id,
                "id": None,
            },
        )
        assert await _status(rpc, task_id) == DONE


async def test_no_task_ever_waits_for_a_user_and_what_it_was_told_is_not_repeated() -> None:
    async with served() as rpc:
        task_id = await rpc.init()
        action = {"task_id": task_id, "user_action": {"action_type": "TrezorPassphrase", "passphrase": "hush"}}
        for actual in ("InProgress", "Finished"):
            status, body = await rpc.call(USER_ACTION, action)
            words = f"RPC '{task_id}' task is in unexpected status. Actual: '{actual}', expected: 'AwaitingUserAction'"
            assert (status, body["error"]) == (500, f"Internal error: {words}")
            assert "hush" not in str(body)
            rpc.node.advance.set()
            if not rpc.node.end.done():
                rpc.node.end.set_result(RESULT)
            await _turns()


async def test_what_the_windows_activation_does_before_the_eight_steps_is_the_first_of_them_here() -> None:
    async with served() as rpc:
        begun = asyncio.Event()

        async def own(handle: TaskHandle) -> object:
            with handle.step(PLATFORM_COIN):
                begun.set()
                return await rpc.node.end

        task_id = rpc.node.tasks.start(own, OWN_START)
        await begun.wait()
        assert await _status(rpc, task_id) == {"status": "InProgress", "details": "ActivatingCoin"}
