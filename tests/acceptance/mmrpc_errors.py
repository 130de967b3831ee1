"""The error table: the contract's rows that can occur here, the reference's text beside ours, in both wordings.

What cannot occur is named with its reason. A trace is compared by its shape, and its files with the path.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.acceptance.activation_backends import backend
from tests.acceptance.activation_part import Part, cell
from tests.acceptance.activation_profile import fill
from tests.acceptance.mmrpc_coins_rows import PLATFORM_TICKERS, active_rows, coin_rows, coins_file, inactive_row
from tests.acceptance.mmrpc_program import ACTION, CANCEL, STATUS, Answer, MmrpcLeyden, envelope
from tests.acceptance.mmrpc_rows import (
    Expected,
    Row,
    envelope_rows,
    init,
    internal,
    no_such_task,
    parameter_rows,
    password_rows,
    unknown_task_rows,
)

_LONGEST_CELL = 170
_TICKER = "RBTC-lightning"
_PIN = {"action_type": "TrezorPin", "pin": "1"}
_NEVER = {
    "1 TaskTimedOut": "unreachable upstream too",
    "1 Internal of status": "a poisoned lock; there is none here",
    "1 Event streaming is disabled": "it is never disabled where mmrpc is served",
    "3 iguana mode, hardware wallet": "there is neither HD derivation nor a Trezor",
    "3 electrum mode": "every backend serves Lightning here",
    "3 System time error": "the clock before 1970",
    "3 monitors": "there are no channel monitors yet",
    "9 LocalHostOnly": "it listens on loopback alone",
    "9 password that is empty": "the policy stops the start, and so does a weak one",
}


@dataclass(frozen=True, slots=True)
class Compared:
    """One row with its answer."""

    texts: str
    row: Row
    ours: Answer
    good: bool

    @property
    def verdict(self) -> str:
        if not self.good:
            return "**differs**"
        return f"safer: {self.row.safer}" if self.row.safer else "equal"

    def markdown(self) -> str:
        ours = json.dumps(self.ours.body, ensure_ascii=False)
        request = self.row.request
        if isinstance(request, dict):
            request = json.dumps({key: value for key, value in request.items() if key not in ("userpass", "mmrpc")})
        cells = (f"`{request}`", str(self.row.expected), f"{self.ours.status} {ours}", self.verdict)
        return f"| {self.texts} | {self.row.section} | {' | '.join(_cut(cell(each)) for each in cells)} |"


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_CELL else text[: _LONGEST_CELL - 3] + "..."


class Table:
    """Asks one node and keeps what it answered."""

    def __init__(self, texts: str, leyden: MmrpcLeyden) -> None:
        self.texts = texts
        self.leyden = leyden
        self.rows: list[Compared] = []

    async def ask(self, rows: Iterable[Row]) -> None:
        """One after the other, by curl."""
        for row in rows:
            body = row.request if isinstance(row.request, str) else json.dumps(row.request)
            answer = await self.leyden.curl(body, *row.options)
            self.rows.append(Compared(self.texts, row, answer, row.expected.matches(answer)))

    def batched(self, row: Row, body: Any) -> None:
        """An element of a batch has no status of its own."""
        answer = Answer(row.expected.status, body)
        self.rows.append(Compared(self.texts, row, answer, row.expected.matches(answer)))

    async def failed(self, section: str, expected: Expected, *, loose: str = "", **params: Any) -> None:
        """An activation that fails: what its status says. `loose` is a part of our own text that must be there.

        There the contract leaves the words after the prefix to the system.
        """
        request = init(_TICKER, **{"listening_port": 0, **params})
        begun = await self.leyden.curl(json.dumps(request))
        assert begun.status == 200, begun
        async with self.leyden.line() as line:
            ended = await line.until_ended(begun.body["result"]["task_id"])
        details = ended["details"]
        if loose and loose in str(details.get("error")):
            words = details["error"]
            expected = Expected(expected.status, expected.kind, words, words, expected.path)
        good = ended["status"] == "Error" and expected.text in str(details) and expected.is_told_by(details)
        self.rows.append(Compared(self.texts, Row(section, request, expected), Answer(200, ended), good))


async def error_table(folder: Path, count: int, seed: int) -> Part:
    """`count` times the whole table in both wordings; the report shows the last."""
    rows: list[Compared] = []
    bad: list[str] = []
    for number in range(count):
        rows = []
        for texts in ("seed", "current"):
            rows += await _in(folder / f"{number}{texts}", texts, seed)
        bad += [
            f"{each.texts} {each.row.section}: {each.row.expected}, ours {each.ours}" for each in rows if not each.good
        ]
    facts = {
        "rows": len(rows),
        "equal": sum(row.verdict == "equal" for row in rows),
        "safer": sum(row.verdict.startswith("safer") for row in rows),
        "differ": sum(not row.good for row in rows),
        "cannot occur here": _NEVER,
    }
    table = ["| texts | section | request | reference | ours | |", "|---|---|---|---|---|---|"]
    return Part("errors", count, seed, facts, table + [row.markdown() for row in rows], bad)


async def _in(folder: Path, texts: str, seed: int) -> list[Compared]:
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "coins.json").write_text(json.dumps(coins_file()))
    await fill(folder / "data" / "regtest", seed)
    async with await MmrpcLeyden.launch(folder, "--no-activate", "--mmrpc-texts", texts) as leyden:
        table = Table(texts, leyden)
        await table.ask([*unknown_task_rows(), inactive_row(), *parameter_rows(texts), *envelope_rows()])
        await _coins(table)
        await _tasks(table)
        await _steps(table, folder / "data" / "regtest")
        await _lost_server(table, folder / "bcoin")
        await _pages(table)
        await table.ask(password_rows())
        await _lifted(table)
    return table.rows


async def _coins(table: Table) -> None:
    """Each platform coin alone: on regtest they would share one chain's folder."""
    rows = coin_rows(table.texts)
    for ticker in PLATFORM_TICKERS:
        on_it = [row for row in rows if f'"{ticker}-lightning"' in json.dumps(row.request)]
        if ticker == "RBTC-segwit":
            others = tuple(f'"{each}-lightning"' for each in PLATFORM_TICKERS)
            on_it = [row for row in rows if not any(each in json.dumps(row.request) for each in others)]
        enabled = await table.leyden.legacy("enable", coin=ticker)
        assert enabled.status == 200, enabled
        await table.ask(on_it)
        if ticker != "RBTC-segwit":
            await table.leyden.legacy("disable_coin", coin=ticker)


async def _tasks(table: Table) -> None:
    """Section 1: a task that runs, one that is being cancelled, one that has ended."""
    section = "1 tasks"
    async with table.leyden.line() as line:
        task_id = await line.init()
        action = envelope(ACTION, {"task_id": task_id, "user_action": _PIN})
        cancel = envelope(CANCEL, {"task_id": task_id})
        status = envelope(STATUS, {"task_id": task_id})
        again = init(_TICKER)
        answers = (await line.ask([action, again, cancel, cancel, status, action])).body
        waits, asked, cancelled, twice, gone, late = answers
        table.batched(Row(section, action, _unexpected(task_id, "InProgress", "AwaitingUserAction")), waits)
        already = Expected(400, "L2IsAlreadyActivated", f"Layer 2 {_TICKER} is already activated", _TICKER, "init_l2")
        table.batched(Row(section, again, already, "upstream lets two inits race for the port"), asked)
        success = Expected(200, bare={"mmrpc": "2.0", "result": "success", "id": None})
        table.batched(Row(section, cancel, success), cancelled)
        table.batched(Row(section, cancel, _unexpected(task_id, "Cancelled", "InProgress")), twice)
        table.batched(Row(section, status, no_such_task(task_id, 400, "init_l2")), gone)
        table.batched(Row(section, action, _unexpected(task_id, "Cancelled", "AwaitingUserAction")), late)
        await table.ask([Row(section, cancel, no_such_task(task_id, 404, "init_l2.manager"))])
        task_id = await line.init()
        ended = await line.until_ended(task_id)
        assert ended["status"] == "Ok", ended
        status, cancel = envelope(STATUS, {"task_id": task_id}), envelope(CANCEL, {"task_id": task_id})
        action = envelope(ACTION, {"task_id": task_id, "user_action": _PIN})
        finished = Expected(409, "TaskFinished", "Task is finished already", task_id, "init_l2.manager")
        await table.ask(
            [
                Row(section, cancel, finished),
                Row(section, action, _unexpected(task_id, "Finished", "AwaitingUserAction")),
                Row(section, status, Expected(200, bare=_ok(ended))),
                Row(section, status, no_such_task(task_id, 400, "init_l2")),
                Row(section, cancel, no_such_task(task_id, 404, "init_l2.manager")),
                *active_rows(),
            ]
        )
        await line.disable()


def _ok(result: Any) -> dict[str, Any]:
    return {"mmrpc": "2.0", "result": result, "id": None}


def _unexpected(task_id: int, actual: str, expected: str) -> Expected:
    words = f"RPC '{task_id}' task is in unexpected status. Actual: '{actual}', expected: '{expected}'"
    return internal(f"Internal error: {words}", data=words)


async def _steps(table: Table, profile: Path) -> None:
    """Section 3: what a status says of a step that failed."""
    in_use = "I/O error Address already in use (os error 98)"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        await table.failed("3 step 5", internal(in_use, "lib.lightning_activation.ln_p2p"), listening_port=port)
    file = profile / "a-file"
    file.touch()
    await table.failed("3 step 2", internal("I/O error"), loose="I/O error", backup_path=str(file))
    for name, step in (("gossip_store", 3), ("trusted_nodes", 5), ("scorer", 6)):
        aside = (profile / name).rename(profile / f"{name}.aside")
        (profile / name).mkdir()
        await table.failed(f"3 step {step}", internal("I/O error"), loose="I/O error")
        (profile / name).rmdir()
        aside.rename(profile / name)


async def _lost_server(table: Table, folder: Path) -> None:
    """A backend that is gone when activation asks it: the bare text, as Transport."""
    await table.leyden.legacy("disable_coin", coin="RBTC-segwit")
    async with backend("electrumx", folder) as source:
        enabled = await table.leyden.curl(json.dumps(source.enable))
        assert enabled.status == 200, enabled
    lost = Expected(200, "Transport", "", "")
    await table.failed("3 step 1", lost, loose=" ")
    await table.leyden.legacy("disable_coin", coin="RBTC-segwit")


async def _pages(table: Table) -> None:
    """Where web pages come in, ours is meant to be another."""
    good = envelope(STATUS, {"task_id": 7})
    origin = "http://localhost:3000"
    answer = await table.leyden.curl(json.dumps(good), "--header", f"Origin: {origin}")
    row = Row("9 page", good, Expected(403, bare=answer.body), "upstream lets every page of that origin ask", (origin,))
    table.rows.append(Compared(table.texts, row, answer, answer.status == 403 and "Origin" in str(answer.body)))
    answer = await table.leyden.curl("", "--request", "GET", path="event-stream?id=1")
    row = Row("1 events", "GET /event-stream?id=1", Expected(403, bare=answer.body), "upstream asks no password there")
    table.rows.append(Compared(table.texts, row, answer, answer.status == 403))


async def _lifted(table: Table) -> None:
    """Upstream's ban lasts until the process ends."""
    code, _ = await table.leyden.cli("mmrpcunban", "127.0.0.1")
    good = envelope(STATUS, {"task_id": 700})
    row = Row("9 password", good, no_such_task(700, 400, "init_l2"), "the ban was lifted by leyden-cli mmrpcunban")
    await table.ask([row])
    assert code == 0
