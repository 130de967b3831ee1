"""The rows about coins and parameters of section 2, with the user's own coins file that brings them about."""

from __future__ import annotations

from typing import Any

from tests.acceptance.mmrpc_rows import SIGNET, Expected, Row, init, internal

_TARGETS = {"background": 12, "normal": 6, "high_priority": 1}
_PLATFORM = "RBTC-segwit"
_KINDS = (
    "`UTXO`, `QTUM`, `QRC20`, `ETH`, `ERC20`, `TRX`, `SLPTOKEN`, `BCH`, `TENDERMINT`, `TENDERMINTTOKEN`, "
    "`LIGHTNING`, `ZHTLC`, `NFT`"
)
_SEGWIT = {"format": "segwit"}
_BLOCKTIME = "'avg_blocktime' field is not found in platform coin config"


def _lightning(platform: str = _PLATFORM, **changed: Any) -> dict[str, Any]:
    data = {"platform": platform, "network": "regtest", "confirmation_targets": _TARGETS, **changed}
    return {"type": "LIGHTNING", "protocol_data": {key: value for key, value in data.items() if value is not None}}


_PROTOCOLS: dict[str, tuple[Any, str, str]] = {
    "P-NULL": (None, "invalid type: null, expected adjacently tagged enum CoinProtocol", ""),
    "P-EMPTY": ({}, "missing field `type`", ""),
    "P-NODATA": ({"type": "LIGHTNING"}, "missing field `protocol_data`", ""),
    "P-PLATFORM": (_lightning(platform=None), "missing field `platform`", ""),  # type: ignore[arg-type]
    "P-NETWORK": (_lightning(network=None), "missing field `network`", ""),
    "P-TARGETS": (_lightning(confirmation_targets=None), "missing field `confirmation_targets`", ""),
    "P-HIGH": (
        _lightning(confirmation_targets={"background": 12, "normal": 6}),
        "missing field `high_priority`",
        "",
    ),
    "P-FOONET": (
        _lightning(network="foonet"),
        "unknown variant `foonet`, expected one of `mainnet`, `testnet`, `regtest`, `signet`, `testnet4`",
        SIGNET,
    ),
    "P-FOO": ({"type": "FOO"}, f"unknown variant `FOO`, expected one of {_KINDS}", ""),
}
"""By ticker: its protocol, serde's words, and why ours may say more."""
_CONFIGS: dict[str, tuple[dict[str, Any], str]] = {
    "C-MISSING": ({}, "missing field `decimals`"),
    "C-TEXT": ({"decimals": "11"}, 'invalid type: string "11", expected u8'),
    "C-LARGE": ({"decimals": 256}, "invalid value: integer `256`, expected u8"),
}
_PLATFORMS: dict[str, dict[str, Any]] = {
    "LEGACY": {"avg_blocktime": 600, "address_format": {"format": "standard"}},
    "TIMELESS": {"address_format": _SEGWIT},
    "TEXTTIME": {"address_format": _SEGWIT, "avg_blocktime": "600"},
    "PARTTIME": {"address_format": _SEGWIT, "avg_blocktime": 0.53},
}
PLATFORM_TICKERS = (*_PLATFORMS, _PLATFORM)
QRC20 = {"type": "QRC20", "protocol_data": {"platform": "QTUM", "contract_address": "0xd3"}}


def coins_file() -> list[dict[str, Any]]:
    """What the user's own file holds."""
    return [
        *({"coin": ticker, "decimals": 11, "protocol": protocol} for ticker, (protocol, _, _) in _PROTOCOLS.items()),
        *({"coin": ticker, "protocol": _lightning(), **conf} for ticker, (conf, _) in _CONFIGS.items()),
        {"coin": "OTHER-QRC20", "protocol": QRC20},
        *(
            {"coin": name, "network": "regtest", "protocol": {"type": "UTXO"}, **entry}
            for name, entry in _PLATFORMS.items()
        ),
        *({"coin": f"{name}-lightning", "decimals": 11, "protocol": _lightning(name)} for name in _PLATFORMS),
        {"coin": "ON-LIGHTNING", "decimals": 11, "protocol": _lightning("RBTC-lightning")},
    ]


def coin_rows(texts: str) -> list[Row]:
    """Nothing is active but what `PLATFORM_TICKERS` names."""
    shown = '{"protocol_data":{"contract_address":"0xd3","platform":"QTUM"},"type":"QRC20"}'
    if texts == "seed":  # as derive(Debug) prints an enum's struct variant
        shown = 'QRC20 { platform: "QTUM", contract_address: "0xd3" }'
    rows = [
        Row(
            "2 init",
            init("NOPE-lightning"),
            Expected(
                400,
                "L2ConfigIsNotFound",
                "Layer 2 NOPE-lightning config is not found",
                "NOPE-lightning",
                "init_l2.prelude",
            ),
        ),
        Row(
            "2 init",
            init("OTHER-QRC20"),
            Expected(
                400,
                "UnexpectedL2Protocol",
                f"Unexpected layer 2 protocol {shown} for OTHER-QRC20",
                {"ticker": "OTHER-QRC20", "protocol": QRC20},
                "init_l2.prelude.lightning_activation",
            ),
        ),
        Row(
            "2 init",
            init(_PLATFORM),
            Expected(400, "L2IsAlreadyActivated", f"Layer 2 {_PLATFORM} is already activated", _PLATFORM, "init_l2"),
        ),
    ]
    for ticker, (_, words, safer) in _PROTOCOLS.items():
        text, data = f"Layer 2 {ticker} protocol parsing failed: {words}", {"ticker": ticker, "error": words}
        expected = Expected(500, "L2ProtocolParseError", text, data, "init_l2.prelude")
        rows.append(Row("2 protocol", init(ticker), expected, safer))
    for ticker, (_, words) in _CONFIGS.items():
        text = f"Layer 2 configuration parsing failed: {words}"
        expected = Expected(500, "L2ConfigParseError", text, words, "init_l2.lightning_activation")
        rows.append(Row("2 config", init(ticker), expected))
    segwit = "Lightning network is only supported in segwit mode"
    rows.append(Row("2 platform", init("LEGACY-lightning"), internal(segwit, "init_l2.lightning_activation")))
    for name in ("TIMELESS", "TEXTTIME", "PARTTIME"):
        expected = Expected(
            500,
            "InvalidPlatformConfiguration",
            f"Invalid config for platform coin: {name}, error: {_BLOCKTIME}",
            {"platform_coin_ticker": name, "err": _BLOCKTIME},
            "init_l2.lightning_activation",
        )
        rows.append(Row("2 platform", init(f"{name}-lightning"), expected))
    return rows + _name_rows()


def inactive_row() -> Row:
    """Before any platform coin is active."""
    ticker = "RBTC-lightning"
    text = f"Platform coin {ticker} is not activated"
    return Row(
        "2 platform", init(ticker), Expected(400, "PlatformCoinIsNotActivated", text, ticker, "init_l2.lp_coins")
    )


def _name_rows() -> list[Row]:
    long = internal(
        "Invalid request: Node name length can't be more than 32 characters", "init_l2.lightning_activation"
    )
    colour = internal("Invalid request: Invalid Hex Color", "init_l2.lightning_activation")
    names = ("n" * 33, "ü" * 17)  # 33 and 34 bytes
    colours = ("", "abc", "1234567", "12345678", "#000000", "00000g")
    return [
        *(Row("2 name", init("RBTC-lightning", name=name), long) for name in names),
        *(Row("2 colour", init("RBTC-lightning", color=each), colour) for each in colours),
        Row("2 name before colour", init("RBTC-lightning", name=names[0], color="x"), long),
    ]


def active_rows() -> list[Row]:
    """While RBTC-lightning is active."""
    ticker = "RBTC-lightning"
    already = Expected(400, "L2IsAlreadyActivated", f"Layer 2 {ticker} is already activated", ticker, "init_l2")
    text = f"{ticker} is not a platform coin for layer 2 ON-LIGHTNING"
    data = {"platform_coin_ticker": ticker, "l2_ticker": "ON-LIGHTNING"}
    return [
        Row("2 init", init(ticker), already),
        Row("2 platform", init("ON-LIGHTNING"), Expected(500, "UnsupportedPlatformCoin", text, data, "init_l2")),
    ]
