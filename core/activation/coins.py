"""The coins file: which coins there are, and what Komodo DeFi Framework's schema says of a Lightning coin's entry.

Ours is `resources/coins.json`; the user's own is merged over it, key by key. An entry is read only when its coin is
asked for, so that one that is wrong stands in nobody else's way. Ours has one key that upstream does not know,
`network` of a UTXO coin, by which a node finds the coins of its own chain.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from core.activation.errors import (
    CoinsFileInvalid,
    InvalidPlatformConfiguration,
    L2ConfigNotFound,
    L2ConfigParseError,
    L2ProtocolParseError,
    NoSuchCoin,
    UnexpectedL2Protocol,
)
from core.base import serde
from core.base.serde import Field, Read, SerdeError
from core.bolt.networks import Network
from core.storage.files import open_regular, profile_errors

MAX_COINS_FILE_BYTES = 1 << 20
Entry = Mapping[str, Any]

_PROTOCOLS = (
    *("UTXO", "QTUM", "QRC20", "ETH", "ERC20", "TRX", "SLPTOKEN", "BCH", "TENDERMINT", "TENDERMINTTOKEN"),
    *("LIGHTNING", "ZHTLC", "NFT"),
)
_WITHOUT_DATA = frozenset({"UTXO", "QTUM"})
_NETWORKS = {
    "mainnet": "bitcoin",
    "testnet": "testnet",
    "regtest": "regtest",
    "signet": "signet",
    "testnet4": "testnet4",
}
"""The schema's names, in its order with ours at the end, and the names of `core.bolt.networks`."""
_TICKERS = {"bitcoin": "BTC", "testnet": "tBTC", "testnet4": "tBTC4", "signet": "sBTC", "regtest": "RBTC"}


@dataclass(frozen=True, slots=True)
class ConfirmationTargets:
    """In how many blocks a transaction of each urgency should be in the chain."""

    background: int
    normal: int
    high_priority: int


@dataclass(frozen=True, slots=True)
class LightningCoin:
    """A Lightning coin's entry, read."""

    ticker: str
    platform: str
    """The platform coin's ticker."""
    decimals: int
    """Of an amount in msat: 11 for bitcoin."""
    targets: ConfirmationTargets


class Coins:
    """The coins of one network, by ticker."""

    def __init__(self, entries: Iterable[Entry], network: Network) -> None:
        every = {str(entry["coin"]): entry for entry in entries}
        stated = {name: _stated_network(entry) for name, entry in every.items()}
        for entry in every.values():  # a platform coin without a network is on that of its Lightning coin
            platform, found = _platform_and_network(entry)
            if platform is not None and stated.get(platform) is None:
                stated[platform] = found
        self._entries = {name: entry for name, entry in every.items() if stated[name] in (None, network.name)}
        self.lightning_ticker = f"{_TICKERS[network.name]}-lightning"
        """The coin that the window and a headless start activate."""

    def utxo(self, ticker: str) -> Entry:
        """The entry of a plain UTXO coin. Raises NoSuchCoin, also for what is no such coin or cannot be read."""
        entry = self._entries.get(ticker)
        if entry is None or _type_of(entry) != "UTXO":
            raise NoSuchCoin(ticker=ticker)
        return entry

    def lightning(self, ticker: str) -> LightningCoin:
        """Read one Lightning coin, in the contract's order of checks.

        Raises L2ConfigNotFound, L2ProtocolParseError, UnexpectedL2Protocol, L2ConfigParseError.
        """
        entry = self._entries.get(ticker)
        if entry is None:
            raise L2ConfigNotFound(ticker=ticker)
        try:
            kind, data = _within("protocol", _read_protocol)(entry.get("protocol"))
        except _Located as error:
            raise L2ProtocolParseError(ticker=ticker, key=error.key, error=error.text) from None
        if kind != "LIGHTNING":
            protocol = {"type": kind} if data is None else {"protocol_data": _sorted(data), "type": kind}
            raise UnexpectedL2Protocol(ticker=ticker, protocol=protocol)
        try:
            conf = _within("", lambda value: serde.struct(value, "LightningCoinConf", _CONF))(dict(entry))
        except _Located as error:
            raise L2ConfigParseError(ticker=ticker, key=error.key, error=error.text) from None
        targets = ConfirmationTargets(**data["confirmation_targets"])
        return LightningCoin(ticker, data["platform"], conf["decimals"], targets)


def check_blocktime(ticker: str, platform: Entry) -> int:
    """Seconds between two blocks, on average. Raises InvalidPlatformConfiguration where it is no whole number."""
    found = platform.get("avg_blocktime")
    if isinstance(found, bool) or not isinstance(found, int) or found < 0:
        reason = "'avg_blocktime' field is not found in platform coin config"
        raise InvalidPlatformConfiguration(platform_coin_ticker=ticker, err=reason)
    return found


def is_segwit(platform: Entry) -> bool:
    """Whether the coin's addresses are segwit."""
    form = platform.get("address_format")
    return isinstance(form, dict) and form.get("format") == "segwit"


def load_coins(own: Path, network: Network) -> Coins:
    """Our coins with those of the file `own`, which need not exist. For a thread. Raises CoinsFileInvalid."""
    merged = {entry["coin"]: entry for entry in _parse(own, _read_ours())}
    text = _read_own(own)
    if text is not None:
        for entry in _parse(own, text):
            merged[entry["coin"]] = merged.get(entry["coin"], {}) | entry
    return Coins(merged.values(), network)


def _read_ours() -> bytes:
    return resources.files("resources").joinpath("coins.json").read_bytes()


def _read_own(path: Path) -> bytes | None:
    with profile_errors(path):
        try:
            with open_regular(path) as file:
                text = file.read(MAX_COINS_FILE_BYTES + 1)
        except FileNotFoundError:
            return None
    if len(text) > MAX_COINS_FILE_BYTES:
        raise CoinsFileInvalid(path=path, key="", reason=f"longer than {MAX_COINS_FILE_BYTES} bytes")
    return text


def _parse(path: Path, text: bytes) -> list[dict[str, Any]]:
    """A list of objects, each with a ticker of its own under `coin`."""

    def refuse(key: str, reason: str) -> CoinsFileInvalid:
        return CoinsFileInvalid(path=path, key=key, reason=reason)

    try:
        entries = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise refuse("", f"not JSON: {error}") from None
    if not isinstance(entries, list):
        raise refuse("", "not a list of coins")
    seen: set[str] = set()
    for index, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise refuse(f"[{index}]", "not an object")
        ticker = entry.get("coin")
        if not isinstance(ticker, str) or not ticker:
            raise refuse(f"[{index}].coin", "not a ticker")
        if ticker in seen:
            raise refuse(f"[{index}].coin", f"{ticker} stands there twice")
        seen.add(ticker)
    return entries


# -- the schema


class _Located(SerdeError):
    """What serde says, and where it was reading."""

    def __init__(self, key: str, text: str) -> None:
        super().__init__(text)
        self.key = key


def _within(key: str, read: Read[Any]) -> Read[Any]:
    """`read`, whose errors know that they are about `key` or something in it."""

    def located(value: object) -> Any:
        try:
            return read(value)
        except _Located as error:
            raise _Located(".".join(filter(None, (key, error.key))), error.text) from None
        except SerdeError as error:
            missing = re.fullmatch("missing field `(.*)`", error.text)
            raise _Located(".".join(filter(None, (key, missing and missing[1]))), error.text) from None

    return located


def _field(name: str, read: Read[Any], default: object = serde.REQUIRED) -> Field:
    return Field(name, _within(name, read), default)


def _option(name: str, read: Read[Any]) -> Field:
    return _field(name, serde.nullable(read), None)


def _struct(name: str, *fields: Field) -> Read[Any]:
    return lambda value: serde.struct(value, name, fields)


_TARGETS = _struct(
    "PlatformCoinConfirmationTargets",
    *(_field(name, serde.u32) for name in ("background", "normal", "high_priority")),
)
_PROTOCOL_DATA = (
    _field("platform", serde.string),
    _field("network", serde.variant(*_NETWORKS)),
    _field("confirmation_targets", _TARGETS),
)
_CONF = (
    _field("coin", serde.string),
    _field("decimals", serde.u8),
    _option("accept_inbound_channels", serde.boolean),
    _option("accept_forwards_to_priv_channels", serde.boolean),
    _option(
        "channel_options",
        _struct(
            "ChannelOptions",
            _option("proportional_fee_in_millionths_sats", serde.u32),
            _option("base_fee_msat", serde.u32),
            _option("cltv_expiry_delta", serde.u16),
            _option("max_dust_htlc_exposure_msat", serde.u64),
            _option("force_close_avoidance_max_fee_sats", serde.u64),
        ),
    ),
    _option(
        "our_channels_configs",
        _struct(
            "OurChannelsConfigs",
            _option("inbound_channels_confirmations", serde.u32),
            _option("counterparty_locktime", serde.u16),
            _option("our_htlc_minimum_msat", serde.u64),
            _option("negotiate_scid_privacy", serde.boolean),
            _option("max_inbound_in_flight_htlc_percent", serde.u8),
            _option("announced_channel", serde.boolean),
            _option("commit_upfront_shutdown_pubkey", serde.boolean),
            _option("their_channel_reserve_sats", serde.u32),
        ),
    ),
    _option(
        "counterparty_channel_config_limits",
        _struct(
            "CounterpartyLimits",
            _option("min_funding_sats", serde.u64),
            _option("max_funding_sats", serde.u64),
            _option("max_htlc_minimum_msat", serde.u64),
            _option("min_max_htlc_value_in_flight_msat", serde.u64),
            _option("max_channel_reserve_sats", serde.u64),
            _option("min_max_accepted_htlcs", serde.u16),
            _option("outbound_channels_confirmations", serde.u32),
            _option("force_announced_channel_preference", serde.boolean),
            _option("our_locktime_limit", serde.u16),
            _option("allow_outbound_0conf", serde.boolean),
        ),
    ),
    _option("sign_message_prefix", serde.string),
)


def _read_protocol(value: object) -> tuple[str, Any]:
    """The type and its data; of what is not Lightning the data is taken as it stands."""
    if not isinstance(value, dict):
        raise serde.invalid_type(value, "adjacently tagged enum CoinProtocol")
    if "type" not in value:
        raise serde.missing_field("type")
    kind = _within("type", serde.variant(*_PROTOCOLS))(value["type"])
    if kind in _WITHOUT_DATA:
        return kind, None
    if "protocol_data" not in value:
        raise serde.missing_field("protocol_data")
    data = value["protocol_data"]
    return kind, _within("protocol_data", _read_lightning)(data) if kind == "LIGHTNING" else data


def _read_lightning(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise serde.invalid_type(value, "struct variant CoinProtocol::LIGHTNING")
    return serde.struct(value, "CoinProtocol::LIGHTNING", _PROTOCOL_DATA)


def _sorted(value: Any) -> Any:
    """As serde_json prints an object: its keys sorted."""
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(each) for each in value] if isinstance(value, list) else value


# -- whose network it is


def _type_of(entry: Entry) -> object:
    protocol = entry.get("protocol")
    return protocol.get("type") if isinstance(protocol, dict) else None


def _stated_network(entry: Entry) -> str | None:
    """The network that the entry names; None when it names none that we know, and so any node shows its faults."""
    name = entry.get("network") if _type_of(entry) != "LIGHTNING" else _lightning_data(entry).get("network")
    return _NETWORKS.get(name) if isinstance(name, str) else None


def _platform_and_network(entry: Entry) -> tuple[str | None, str | None]:
    if _type_of(entry) != "LIGHTNING":
        return None, None
    platform = _lightning_data(entry).get("platform")
    return platform if isinstance(platform, str) else None, _stated_network(entry)


def _lightning_data(entry: Entry) -> Mapping[str, Any]:
    data = entry["protocol"].get("protocol_data")
    return data if isinstance(data, dict) else {}
