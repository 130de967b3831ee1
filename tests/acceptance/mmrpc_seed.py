"""The seed's session: each of its requests sent with curl to a running node, and each answer beside the seed's."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.acceptance.activation_part import Part, cell
from tests.acceptance.activation_profile import fill
from tests.acceptance.mmrpc_program import CANCEL, INIT, STATUS, Answer, MmrpcLeyden, envelope

_ID = "the seed's samples show null; the contract echoes the request's id"
_NUMBER = "numbers count up from 0 in each process"
_REGTEST = "regtest's tickers, where no server is needed"
_ABSENT = object()


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its answer."""

    name: str
    request: dict[str, Any]
    seed: dict[str, Any]
    ours: Answer
    status: int = 200
    """Of HTTP, as the contract has it."""
    adapted: Mapping[str, tuple[Any, str]] = field(default_factory=dict)
    """By field: what must stand there here instead (a callable judges), and why."""

    def lines(self) -> Iterator[tuple[str, str, str, str]]:
        """For each field: its name, the seed's value, ours, the verdict."""
        yield "HTTP", str(self.status), str(self.ours.status), _verdict(self.status, self.ours.status)
        theirs, ours = dict(_flat(self.seed)), dict(_flat(self.ours.body))
        for name in theirs | ours:
            one, other = theirs.get(name, _ABSENT), ours.get(name, _ABSENT)
            if one == other:
                verdict = "equal"
            elif name in self.adapted:
                wanted, why = self.adapted[name]
                fits = wanted(other) if callable(wanted) else wanted == other
                verdict = f"adapted: {why}" if fits else "**differs**"
            else:
                verdict = "**differs**"
            yield name, _shown(one), _shown(other), verdict


def _verdict(one: object, other: object) -> str:
    return "equal" if one == other else "**differs**"


def _shown(value: object) -> str:
    return "absent" if value is _ABSENT else json.dumps(value)


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every value by its path."""
    if isinstance(value, dict) and value:
        for key, each in value.items():
            yield from _flat(each, f"{name}.{key}" if name else key)
    else:
        yield name, value


def _init(ticker: str, request_id: int = 2, **params: Any) -> dict[str, Any]:
    """The seed's request."""
    wanted = {
        "name": "KomoDeFi-Docs-Node-1",
        "listening_port": 9735,
        "color": "000000",
        "payment_retries": 5,
    }
    return envelope(INIT, {"ticker": ticker, "activation_params": wanted | params}, request_id)


def _error(text: str, path: str, trace: str, kind: str, data: Any, request_id: int | None) -> dict[str, Any]:
    shown = {"error": text, "error_path": path, "error_trace": trace, "error_type": kind, "error_data": data}
    return {"mmrpc": "2.0", **shown, "id": request_id}


def _ok(result: Any) -> dict[str, Any]:
    return {"mmrpc": "2.0", "result": result, "id": None}


async def _ask(leyden: MmrpcLeyden, request: dict[str, Any]) -> Answer:
    return await leyden.curl(json.dumps(request))


async def _on_testnet(folder: Path) -> list[Exchange]:
    """What needs no chain, with the seed's own tickers."""
    async with await MmrpcLeyden.launch(folder, "--network", "testnet", "--no-activate") as leyden:
        wrong = _init("tBTC-lightning", 762, listening_port="9735")
        serde = 'invalid type: string "9735", expected u16'
        exchanges = [
            Exchange(
                "a parameter is incorrect",
                wrong,
                _error(
                    *(f"Error parsing request: {serde}", "dispatcher", "dispatcher:110]", "InvalidRequest", serde, 762)
                ),
                await _ask(leyden, wrong),
                400,
            )
        ]
        other = _init("tBTC-segwit")
        text = "Unexpected layer 2 protocol UTXO for tBTC-segwit"
        path, trace = "init_l2.prelude.lightning_activation", "init_l2:82] prelude:93] lightning_activation:92]"
        data: Any = {"ticker": "tBTC-segwit", "protocol": {"type": "UTXO"}}
        exchanges.append(
            Exchange(
                "the coin's protocol is another",
                other,
                _error(text, path, trace, "UnexpectedL2Protocol", data, 2),
                await _ask(leyden, other),
                400,
            )
        )
        early = _init("tBTC-lightning")
        text, trace = "Platform coin tBTC-lightning is not activated", "init_l2:87] lp_coins:3087]"
        seed = _error(text, "init_l2.lp_coins", trace, "PlatformCoinIsNotActivated", "tBTC-lightning", 2)
        exchanges.append(Exchange("the platform coin is not activated", early, seed, await _ask(leyden, early), 400))
        return exchanges


async def _without_blocktime(folder: Path) -> list[Exchange]:
    """The seed's tickers, which the user's own coins file puts on regtest."""
    data = folder / "data"
    data.mkdir(parents=True)
    targets = {"background": 12, "normal": 6, "high_priority": 1}
    protocol = {"platform": "tBTC-segwit", "network": "regtest", "confirmation_targets": targets}
    coins = [
        {"coin": "tBTC-segwit", "network": "regtest", "avg_blocktime": None},
        {"coin": "tBTC-lightning", "protocol": {"type": "LIGHTNING", "protocol_data": protocol}},
    ]
    (data / "coins.json").write_text(json.dumps(coins))
    async with await MmrpcLeyden.launch(folder, "--no-activate") as leyden:
        enabled = await leyden.legacy("enable", coin="tBTC-segwit")
        assert enabled.status == 200, enabled
        request = _init("tBTC-lightning")
        err = "'avg_blocktime' field is not found in platform coin config"
        seed = _error(
            f"Invalid config for platform coin: tBTC-segwit, error: {err}",
            "init_l2.lightning_activation",
            "init_l2:95] lightning_activation:254]",
            "InvalidPlatformConfiguration",
            {"platform_coin_ticker": "tBTC-segwit", "err": err},
            2,
        )
        return [Exchange("the platform coin lacks a parameter", request, seed, await _ask(leyden, request), 500)]


async def _on_regtest(folder: Path, seed: int) -> list[Exchange]:
    """Another network's ticker, and a node that comes up, is cancelled, fails and is there."""
    await fill(folder / "data" / "regtest", seed)
    async with await MmrpcLeyden.launch(folder, "--no-activate") as leyden:
        request = _init("tBTC-lightning")
        text, trace = "Layer 2 tBTC-lightning config is not found", "init_l2:82] prelude:82]"
        missing = _error(text, "init_l2.prelude", trace, "L2ConfigIsNotFound", "tBTC-lightning", 2)
        exchanges = [Exchange("the coin is not in the coins file", request, missing, await _ask(leyden, request), 400)]
        assert (await leyden.legacy("enable", coin="RBTC-segwit")).status == 200
        exchanges += [await _address_in_use(leyden), *await _cancelled(leyden), *await _up(leyden)]
        return exchanges


async def _address_in_use(leyden: MmrpcLeyden) -> Exchange:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        task_id = await _begin(leyden, listening_port=taken.getsockname()[1])
        async with leyden.line() as line:
            await line.until_ended(task_id)
        request = envelope(STATUS, {"task_id": task_id, "forget_if_finished": False}, 2)
        answer = await _ask(leyden, request)
    text = "I/O error Address already in use (os error 48)"
    here = ("I/O error Address already in use (os error 98)", "Linux counts it as 98, macOS as 48")
    details = _error(
        text,
        "lib.lightning_activation.ln_p2p",
        "lib:103] lightning_activation:280] ln_p2p:196]",
        "Internal",
        text,
        None,
    )
    del details["mmrpc"], details["id"]
    adapted = {"result.details.error": here, "result.details.error_data": here, "id": (2, _ID)}
    seed = _ok({"status": "Error", "details": details})
    return Exchange("the address is in use", request, seed, answer, adapted=adapted)


async def _begin(leyden: MmrpcLeyden, **params: Any) -> int:
    answer = await _ask(leyden, _init("RBTC-lightning", **params))
    assert answer.status == 200, answer
    return int(answer.body["result"]["task_id"])


async def _cancelled(leyden: MmrpcLeyden) -> list[Exchange]:
    task_id = await _begin(leyden, listening_port=0)
    watch = envelope(STATUS, {"task_id": task_id, "forget_if_finished": False}, 2)
    running = await _ask(leyden, watch)
    request = envelope(CANCEL, {"task_id": task_id}, 1)
    answer = await _ask(leyden, request)
    shown = _ok({"status": "InProgress", "details": "ReadingNetworkGraphFromFile"})
    return [
        Exchange("status while it runs", watch, shown, running, adapted={"id": (2, _ID)}),
        Exchange("cancel", request, _ok("success"), answer, adapted={"id": (1, _ID)}),
    ]


async def _up(leyden: MmrpcLeyden) -> list[Exchange]:
    begin = _init("RBTC-lightning", listening_port=0)
    begun = await _ask(leyden, begin)
    task_id = begun.body["result"]["task_id"]
    async with leyden.line() as line:
        await line.until_ended(task_id)
    watch = envelope(STATUS, {"task_id": task_id, "forget_if_finished": False}, 2)
    cancel = envelope(CANCEL, {"task_id": task_id}, 1)
    address = "0321937a095229510bd2b02a930d7b7eb273147e348ef1086b22e8790e3c609804"
    balance = {"spendable": "0", "unspendable": "0"}
    result = {"platform_coin": "BTC-segwit", "address": address, "balance": balance}
    node_id = next(line.split()[1] for line in leyden.lines() if line.startswith("node "))
    finished = _error(
        "Task is finished already", "init_l2.manager", "init_l2:157] manager:104]", "TaskFinished", 3, None
    )
    held = "the profile of this session has channels, whose peers are away: all of it is unspendable"
    return [
        Exchange(
            "init",
            begin,
            _ok({"task_id": 1}),
            begun,
            adapted={"result.task_id": (lambda number: isinstance(number, int), _NUMBER), "id": (2, _ID)},
        ),
        Exchange(
            "status when it is up",
            watch,
            _ok({"status": "Ok", "details": result}),
            await _ask(leyden, watch),
            adapted={
                "result.details.platform_coin": ("RBTC-segwit", _REGTEST),
                "result.details.address": (node_id, "this node's id"),
                "result.details.balance.unspendable": (lambda text: float(text) > 0, held),
                "id": (2, _ID),
            },
        ),
        Exchange(
            "cancel when it is up",
            cancel,
            finished,
            await _ask(leyden, cancel),
            409,
            adapted={"error_data": (task_id, _NUMBER), "id": (1, _ID)},
        ),
    ]


async def seed_session(folder: Path, count: int, seed: int) -> Part:
    """`count` times the whole session; the table is the last one's."""
    bad: list[str] = []
    counted = {"requests": 0, "fields": 0, "equal": 0, "adapted": 0, "differ": 0}
    table: list[str] = []
    for number in range(count):
        place = folder / str(number)
        exchanges = [
            *await _on_testnet(place / "t"),
            *await _without_blocktime(place / "b"),
            *await _on_regtest(place / "r", seed),
        ]
        table = []
        for exchange in exchanges:
            counted["requests"] += 1
            table += ["", f"**{exchange.name}**", "", f"`{_words(exchange.request)}`", "", *_HEAD]
            for name, theirs, ours, verdict in exchange.lines():
                counted["fields"] += 1
                kind = "differ" if "differs" in verdict else verdict.split(":")[0]
                counted[kind] += 1
                table.append(f"| {name} | `{cell(theirs)}` | `{cell(ours)}` | {cell(verdict)} |")
                if kind == "differ":
                    bad.append(f"{exchange.name}: {name}: the seed {theirs}, ours {ours}")
    return Part("seed_session", count, seed, counted, table, bad)


_HEAD = ["| field | seed | ours | |", "|---|---|---|---|"]


def _words(request: dict[str, Any]) -> str:
    return json.dumps({key: value for key, value in request.items() if key != "userpass"})
