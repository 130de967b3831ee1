"""The table of errors, row by row, in both wordings."""

from __future__ import annotations

import errno
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from core.activation import errors as activation
from core.base.errors import LeydenError
from core.base.serde import SerdeError
from core.chain import errors as chain
from core.peers import errors as peers
from core.rpc.mmrpc.base import MmError
from core.rpc.mmrpc.envelope import InvalidRequest, error_object
from core.rpc.mmrpc.errors import to_mm_error
from core.storage import errors as storage
from tests.unit.rpc.mmrpc.parts import INIT, served

L2, COIN = "tBTC-lightning", "tBTC-segwit"
NO_BLOCKTIME = "'avg_blocktime' field is not found in platform coin config"
SAME = object()
"""That the data is the error's text."""
TAKEN = f"I/O error {os.strerror(errno.EADDRINUSE)} (os error {errno.EADDRINUSE})"
AT_INIT = "init_l2.lightning_activation"
IN_TASK = "lib.lightning_activation"

ROWS: list[tuple[LeydenError, int, str, str, object, str]] = [
    (
        activation.L2AlreadyActivated(ticker=L2),
        400,
        "L2IsAlreadyActivated",
        f"Layer 2 {L2} is already activated",
        L2,
        "init_l2",
    ),
    (
        activation.L2ConfigNotFound(ticker=L2),
        400,
        "L2ConfigIsNotFound",
        f"Layer 2 {L2} config is not found",
        L2,
        "init_l2.prelude",
    ),
    (
        activation.L2ProtocolParseError(ticker=L2, key="protocol", error="missing field `type`"),
        500,
        "L2ProtocolParseError",
        f"Layer 2 {L2} protocol parsing failed: missing field `type`",
        {"ticker": L2, "error": "missing field `type`"},
        "init_l2.prelude",
    ),
    (
        activation.L2ConfigParseError(ticker=L2, key="decimals", error="missing field `decimals`"),
        500,
        "L2ConfigParseError",
        "Layer 2 configuration parsing failed: missing field `decimals`",
        "missing field `decimals`",
        AT_INIT,
    ),
    (
        activation.PlatformCoinNotActivated(ticker=L2),
        400,
        "PlatformCoinIsNotActivated",
        f"Platform coin {L2} is not activated",
        L2,
        "init_l2.lp_coins",
    ),
    (
        activation.UnsupportedPlatformCoin(platform_coin_ticker="X", l2_ticker=L2),
        500,
        "UnsupportedPlatformCoin",
        f"X is not a platform coin for layer 2 {L2}",
        {"platform_coin_ticker": "X", "l2_ticker": L2},
        "init_l2",
    ),
    (
        activation.PlatformNotSegwit(ticker=COIN),
        500,
        "Internal",
        "Lightning network is only supported in segwit mode",
        SAME,
        AT_INIT,
    ),
    (
        activation.InvalidPlatformConfiguration(platform_coin_ticker=COIN, err=NO_BLOCKTIME),
        500,
        "InvalidPlatformConfiguration",
        f"Invalid config for platform coin: {COIN}, error: {NO_BLOCKTIME}",
        {"platform_coin_ticker": COIN, "err": NO_BLOCKTIME},
        AT_INIT,
    ),
    (
        activation.NodeNameTooLong(length=33),
        500,
        "Internal",
        "Invalid request: Node name length can't be more than 32 characters",
        SAME,
        AT_INIT,
    ),
    (activation.InvalidNodeColor(color="#"), 500, "Internal", "Invalid request: Invalid Hex Color", SAME, AT_INIT),
    (chain.ChainUnavailable(reason="no answer"), 500, "Transport", "no answer", SAME, IN_TASK),
    (
        chain.ServerStalled(server="h:1", timeout_s=5),
        500,
        "Transport",
        "h:1: no answer within 5 s",
        SAME,
        IN_TASK,
    ),
    (
        peers.ListenFailed(address="127.0.0.1:9735", errno=errno.EADDRINUSE, reason="x"),
        500,
        "Internal",
        TAKEN,
        SAME,
        f"{IN_TASK}.ln_p2p",
    ),
    (
        peers.ListenFailed(address="nonsense", errno=None, reason="no port"),
        500,
        "Internal",
        "Invalid address: no port",
        SAME,
        f"{IN_TASK}.ln_p2p",
    ),
    (
        storage.DatabaseDamaged(path=Path("db"), set_aside=None, reason="torn"),
        500,
        "Internal",
        "DB error db is damaged: torn",
        SAME,
        IN_TASK,
    ),
    (
        storage.ProfileUnusable(path=Path("p"), reason="full"),
        500,
        "Internal",
        "I/O error p: full",
        SAME,
        IN_TASK,
    ),
    (
        activation.NodeNotActive(),
        500,
        "Internal",
        "Internal error: Node is not active",
        SAME,
        IN_TASK,
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: type(row[0]).__name__)
@pytest.mark.parametrize("texts", ["seed", "current"])
def test_each_error_has_its_status_texts_data_and_path(row: tuple[Any, ...], texts: str) -> None:
    error, status, kind, text, data, path = row
    refused = to_mm_error(error, texts)
    body = error_object(refused)
    assert (refused.status, body["error_type"], body["error"], body["error_path"]) == (status, kind, text, path)
    assert body["error_data"] == (text if data is SAME else data)
    trace = str(body["error_trace"])
    assert re.fullmatch(r"(\w+:\d+\])( \w+:\d+\])*", trace)
    stems = [place.partition(":")[0] for place in trace.split()]
    collapsed = [stem for at, stem in enumerate(stems) if at == 0 or stems[at - 1] != stem]
    assert ".".join(collapsed) == path


@pytest.mark.parametrize(
    ("protocol", "seed", "current"),
    [
        ({"type": "UTXO"}, "UTXO", '{"type":"UTXO"}'),
        (
            {"type": "QRC20", "protocol_data": {"platform": "QTUM"}},
            'QRC20 { platform: "QTUM" }',
            '{"protocol_data":{"platform":"QTUM"},"type":"QRC20"}',
        ),
    ],
)
def test_an_unexpected_protocol_is_worded_by_its_build(protocol: dict[str, object], seed: str, current: str) -> None:
    error = activation.UnexpectedL2Protocol(ticker=COIN, protocol=protocol)
    for texts, shown in (("seed", seed), ("current", current)):
        body = error_object(to_mm_error(error, texts))
        assert body["error"] == f"Unexpected layer 2 protocol {shown} for {COIN}"
        assert body["error_data"] == {"ticker": COIN, "protocol": protocol}
        assert body["error_path"] == "init_l2.prelude.lightning_activation"


SEED_SAMPLES: list[tuple[Exception, dict[str, object]]] = [
    (
        activation.L2ConfigNotFound(ticker=L2),
        {
            "error": "Layer 2 tBTC-lightning config is not found",
            "error_path": "init_l2.prelude",
            "error_trace": "init_l2:82] prelude:82]",
            "error_type": "L2ConfigIsNotFound",
            "error_data": "tBTC-lightning",
        },
    ),
    (
        SerdeError('invalid type: string "9735", expected u16'),
        {
            "error": 'Error parsing request: invalid type: string "9735", expected u16',
            "error_path": "dispatcher",
            "error_trace": "dispatcher:110]",
            "error_type": "InvalidRequest",
            "error_data": 'invalid type: string "9735", expected u16',
        },
    ),
    (
        activation.UnexpectedL2Protocol(ticker=COIN, protocol={"type": "UTXO"}),
        {
            "error": "Unexpected layer 2 protocol UTXO for tBTC-segwit",
            "error_path": "init_l2.prelude.lightning_activation",
            "error_trace": "init_l2:82] prelude:93] lightning_activation:92]",
            "error_type": "UnexpectedL2Protocol",
            "error_data": {"ticker": "tBTC-segwit", "protocol": {"type": "UTXO"}},
        },
    ),
    (
        activation.PlatformCoinNotActivated(ticker=L2),
        {
            "error": "Platform coin tBTC-lightning is not activated",
            "error_path": "init_l2.lp_coins",
            "error_trace": "init_l2:87] lp_coins:3087]",
            "error_type": "PlatformCoinIsNotActivated",
            "error_data": "tBTC-lightning",
        },
    ),
    (
        activation.InvalidPlatformConfiguration(platform_coin_ticker=COIN, err=NO_BLOCKTIME),
        {
            "error": f"Invalid config for platform coin: tBTC-segwit, error: {NO_BLOCKTIME}",
            "error_path": "init_l2.lightning_activation",
            "error_trace": "init_l2:95] lightning_activation:254]",
            "error_type": "InvalidPlatformConfiguration",
            "error_data": {"platform_coin_ticker": "tBTC-segwit", "err": NO_BLOCKTIME},
        },
    ),
]


@pytest.mark.parametrize(("error", "sample"), SEED_SAMPLES)
def test_the_documentations_samples_are_given_letter_by_letter(error: Exception, sample: dict[str, object]) -> None:
    assert json.dumps(error_object(to_mm_error(error, "seed"))) == json.dumps(sample)


async def test_a_refused_init_has_its_http_status_and_the_wording_of_the_setting() -> None:
    for texts, shown in (("seed", "UTXO"), ("current", '{"type":"UTXO"}')):
        async with served(mmrpc_texts=texts) as rpc:
            rpc.node.refuse = activation.UnexpectedL2Protocol(ticker=COIN, protocol={"type": "UTXO"})
            params = {"ticker": COIN, "activation_params": {"name": "x"}}
            status, body = await rpc.call(INIT, params, id=2)
            assert (status, body["id"]) == (400, 2)
            assert body["error"] == f"Unexpected layer 2 protocol {shown} for {COIN}"
            rpc.node.refuse = activation.NodeNameTooLong(length=40)
            assert (await rpc.call(INIT, params))[0] == 500


def test_what_has_no_row_is_internal_and_a_refusal_stays_what_it_is() -> None:
    assert to_mm_error(ValueError("a fact"), "seed").text == "Internal error: ValueError"
    refused = MmError(418, "T", "t", path="p", trace="p:1]")
    assert to_mm_error(refused, "seed") is refused
    assert to_mm_error(InvalidRequest(SerdeError("a", "b")), "seed").data == "b"
    assert to_mm_error(InvalidRequest(SerdeError("a", "b")), "current").data == "a"
