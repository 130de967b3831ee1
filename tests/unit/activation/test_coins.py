"""The coins file against Komodo DeFi Framework's schema, with serde's words (kdf-lightning-tasks, section 2)."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from core.activation.coins import Coins, ConfirmationTargets, LightningCoin, check_blocktime, is_segwit, load_coins
from core.activation.errors import (
    CoinsFileInvalid,
    InvalidPlatformConfiguration,
    L2ConfigNotFound,
    L2ConfigParseError,
    L2ProtocolParseError,
    NoSuchCoin,
    UnexpectedL2Protocol,
)
from core.bolt.networks import NETWORKS
from core.storage.errors import ProfileUnusable

TESTNET = NETWORKS["testnet"]
ENTRY: dict[str, Any] = {
    "coin": "T-lightning",
    "decimals": 11,
    "protocol": {
        "type": "LIGHTNING",
        "protocol_data": {
            "platform": "T-segwit",
            "network": "testnet",
            "confirmation_targets": {"background": 12, "normal": 6, "high_priority": 1},
        },
    },
}
_GONE = object()


def changed(path: str, value: object) -> dict[str, Any]:
    """The entry with one key of it changed, or gone."""
    entry: dict[str, Any] = deepcopy(ENTRY)
    *above, last = path.split(".")
    at = entry
    for name in above:
        at = at[name]
    if value is _GONE:
        del at[last]
    else:
        at[last] = value
    return entry


@pytest.mark.parametrize(
    ("network", "ticker"),
    [("bitcoin", "BTC"), ("testnet", "tBTC"), ("testnet4", "tBTC4"), ("signet", "sBTC"), ("regtest", "RBTC")],
)
def test_each_network_has_its_two_coins_of_ours_and_no_other(tmp_path: Path, network: str, ticker: str) -> None:
    coins = load_coins(tmp_path / "coins.json", NETWORKS[network])
    assert coins.lightning_ticker == f"{ticker}-lightning"
    coin = coins.lightning(coins.lightning_ticker)
    assert coin == LightningCoin(f"{ticker}-lightning", f"{ticker}-segwit", 11, ConfirmationTargets(12, 6, 1))
    platform = coins.utxo(coin.platform)
    assert is_segwit(platform)
    assert check_blocktime(coin.platform, platform) == 600
    for other in {"BTC", "tBTC", "tBTC4", "sBTC", "RBTC"} - {ticker}:
        with pytest.raises(L2ConfigNotFound):
            coins.lightning(f"{other}-lightning")
        with pytest.raises(L2ConfigNotFound):
            coins.lightning(f"{other}-segwit")
        with pytest.raises(NoSuchCoin):
            coins.utxo(f"{other}-segwit")


@pytest.mark.parametrize(
    ("path", "value", "key", "text"),
    [
        ("protocol", _GONE, "protocol", "invalid type: null, expected adjacently tagged enum CoinProtocol"),
        ("protocol", None, "protocol", "invalid type: null, expected adjacently tagged enum CoinProtocol"),
        ("protocol.type", _GONE, "protocol.type", "missing field `type`"),
        ("protocol.protocol_data", _GONE, "protocol.protocol_data", "missing field `protocol_data`"),
        ("protocol.protocol_data.platform", _GONE, "protocol.protocol_data.platform", "missing field `platform`"),
        ("protocol.protocol_data.network", _GONE, "protocol.protocol_data.network", "missing field `network`"),
        (
            "protocol.protocol_data.confirmation_targets",
            _GONE,
            "protocol.protocol_data.confirmation_targets",
            "missing field `confirmation_targets`",
        ),
        (
            "protocol.protocol_data.confirmation_targets.high_priority",
            _GONE,
            "protocol.protocol_data.confirmation_targets.high_priority",
            "missing field `high_priority`",
        ),
        (
            "protocol.protocol_data.network",
            "moonnet",
            "protocol.protocol_data.network",
            "unknown variant `moonnet`, expected one of `mainnet`, `testnet`, `regtest`, `signet`, `testnet4`",
        ),
        (
            "protocol.type",
            "FOO",
            "protocol.type",
            "unknown variant `FOO`, expected one of `UTXO`, `QTUM`, `QRC20`, `ETH`, `ERC20`, `TRX`, `SLPTOKEN`, `BCH`,"
            " `TENDERMINT`, `TENDERMINTTOKEN`, `LIGHTNING`, `ZHTLC`, `NFT`",
        ),
    ],
)
def test_a_protocol_that_breaks_the_schema_is_told_as_serde_does_and_its_key_named(
    path: str, value: object, key: str, text: str
) -> None:
    with pytest.raises(L2ProtocolParseError) as caught:
        Coins([changed(path, value)], TESTNET).lightning("T-lightning")
    assert (caught.value.ticker, caught.value.key, caught.value.error) == ("T-lightning", key, text)


@pytest.mark.parametrize(
    ("path", "value", "key", "text"),
    [
        ("decimals", _GONE, "decimals", "missing field `decimals`"),
        ("decimals", "11", "decimals", 'invalid type: string "11", expected u8'),
        ("decimals", 256, "decimals", "invalid value: integer `256`, expected u8"),
        (
            "channel_options",
            {"base_fee_msat": -1},
            "channel_options.base_fee_msat",
            "invalid value: integer `-1`, expected u32",
        ),
    ],
)
def test_an_entry_that_breaks_the_schema_too(path: str, value: object, key: str, text: str) -> None:
    with pytest.raises(L2ConfigParseError) as caught:
        Coins([changed(path, value)], TESTNET).lightning("T-lightning")
    assert (caught.value.key, caught.value.error) == (key, text)


@pytest.mark.parametrize(
    ("protocol", "told"),
    [
        ({"type": "UTXO"}, {"type": "UTXO"}),
        (
            {"type": "QRC20", "protocol_data": {"platform": "QTUM", "contract_address": "0x1"}},
            {"protocol_data": {"contract_address": "0x1", "platform": "QTUM"}, "type": "QRC20"},
        ),
    ],
)
def test_another_kind_of_coin_is_named_by_its_protocol_with_sorted_keys(
    protocol: dict[str, Any], told: dict[str, Any]
) -> None:
    with pytest.raises(UnexpectedL2Protocol) as caught:
        Coins([changed("protocol", protocol)], TESTNET).lightning("T-lightning")
    assert json.dumps(caught.value.protocol) == json.dumps(told)


def test_what_upstream_ignores_is_ignored() -> None:
    entry = ENTRY | {"our_channels_config": 5, "mm2": "x", "accept_inbound_channels": None}
    assert Coins([entry], TESTNET).lightning("T-lightning").decimals == 11


@pytest.mark.parametrize("value", [_GONE, None, "600", 0.53, -1, True])
def test_a_block_time_that_is_no_unsigned_integer_is_as_good_as_none(value: object) -> None:
    entry = {} if value is _GONE else {"avg_blocktime": value}
    with pytest.raises(InvalidPlatformConfiguration) as caught:
        check_blocktime("T-segwit", entry)
    assert caught.value.err == "'avg_blocktime' field is not found in platform coin config"


def test_a_platform_coin_without_a_network_is_on_that_of_its_lightning_coin() -> None:
    platform = {"coin": "T-segwit", "protocol": {"type": "UTXO"}}
    assert Coins([platform, ENTRY], TESTNET).utxo("T-segwit") == platform
    with pytest.raises(NoSuchCoin):
        Coins([platform, ENTRY], NETWORKS["regtest"]).utxo("T-segwit")


def test_the_users_own_file_is_merged_over_ours_key_by_key(tmp_path: Path) -> None:
    own = tmp_path / "coins.json"
    own.write_text(json.dumps([{"coin": "tBTC-segwit", "avg_blocktime": None}, ENTRY]))
    coins = load_coins(own, TESTNET)
    platform = coins.utxo("tBTC-segwit")
    assert is_segwit(platform), "what ours says besides still holds"
    with pytest.raises(InvalidPlatformConfiguration):
        check_blocktime("tBTC-segwit", platform)
    assert coins.lightning("T-lightning").platform == "T-segwit"
    assert coins.lightning("tBTC-lightning").decimals == 11


@pytest.mark.parametrize(
    ("text", "key", "reason"),
    [
        ("{", "", "not JSON"),
        ("[" * 100_000, "", "not JSON"),
        ("{}", "", "not a list of coins"),
        ('[{"coin": "A"}, 5]', "[1]", "not an object"),
        ('[{"coin": "A"}, {"name": "B"}]', "[1].coin", "not a ticker"),
        ('[{"coin": "A"}, {"coin": "A"}]', "[1].coin", "A stands there twice"),
        (" " * (1 << 20) + "[]", "", "longer than"),
    ],
)
def test_an_own_file_of_another_shape_is_refused_with_the_place(
    tmp_path: Path, text: str, key: str, reason: str
) -> None:
    own = tmp_path / "coins.json"
    own.write_text(text)
    with pytest.raises(CoinsFileInvalid) as caught:
        load_coins(own, TESTNET)
    assert caught.value.key == key
    assert reason in caught.value.reason


def test_a_folder_in_the_place_of_the_own_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ProfileUnusable):
        load_coins(tmp_path, TESTNET)
