"""Every failure in mmrpc's shape; the one place where its texts are composed.

Two wordings: that of KDF's documentation (`seed`, builds of spring 2023) and that of 2025 (`current`). Traces keep
the shape alone; their lines are those of the build whose wording it is, and no contract.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from core.activation import errors as activation
from core.base.errors import LeydenError
from core.base.serde import SerdeError, quoted
from core.chain import errors as chain
from core.peers import errors as peers
from core.rpc.errors import known_errors, to_rpc_error
from core.rpc.mmrpc.base import MmError
from core.rpc.mmrpc.envelope import BAD_REQUEST, InvalidRequest
from core.storage import errors as storage

INTERNAL = 500
NOT_FOUND = 404
FORBIDDEN = 403
_ABSENT: Any = object()

E_ = TypeVar("E_", bound=LeydenError)


@dataclass(frozen=True, slots=True)
class Refusal:
    """What is said about one error; what the seed says otherwise stands beside it."""

    status: int
    kind: str
    text: str
    path: str
    trace: str
    data: object = _ABSENT
    seed_text: str | None = None
    seed_trace: str | None = None

    def chosen(self, texts: str) -> MmError:
        """In one wording: `seed` or `current`."""
        seed = texts == "seed"
        return MmError(
            self.status,
            self.kind,
            self.seed_text if seed and self.seed_text is not None else self.text,
            path=self.path,
            trace=self.seed_trace if seed and self.seed_trace is not None else self.trace,
            data=None if self.data is _ABSENT else self.data,
            has_data=self.data is not _ABSENT,
        )


_table: dict[type[LeydenError], Callable[[Any], Refusal]] = {}


def _say(kind: type[E_], words: Callable[[E_], Refusal]) -> None:
    _table[kind] = words


def to_mm_error(error: Exception, texts: str) -> MmError:
    """The refusal for `error`, in the wording called `texts`; without a row it is Internal in our own words."""
    if isinstance(error, SerdeError):
        error = InvalidRequest(error)
    if isinstance(error, InvalidRequest):
        return _invalid_request(error, texts)
    if isinstance(error, MmError):
        return error
    for kind in type(error).__mro__:
        if kind in _table:
            return _table[kind](error).chosen(texts)
    if isinstance(error, LeydenError) and type(error) in known_errors():
        return _internal(f"Internal error: {to_rpc_error(error).message}").chosen(texts)
    return _internal(f"Internal error: {type(error).__name__}").chosen(texts)


def _invalid_request(refused: InvalidRequest, texts: str) -> MmError:
    seed = texts == "seed"
    words = refused.error.seed_text if seed else refused.error.text
    return Refusal(
        BAD_REQUEST,
        "InvalidRequest",
        f"Error parsing request: {words}",
        refused.path,
        refused.trace,
        words,
        seed_trace="dispatcher:110]" if refused.trace == "dispatcher:125]" else None,
    ).chosen(texts)


def _internal(text: str, path: str = "lib.lightning_activation", trace: str = "") -> Refusal:
    return Refusal(INTERNAL, "Internal", text, path, trace or "lib:104] lightning_activation:309]", text)


def _of_init(text: str, trace: str) -> Refusal:
    return _internal(text, "init_l2.lightning_activation", trace)


def _unexpected_protocol(error: activation.UnexpectedL2Protocol) -> Refusal:
    protocol = json.dumps(error.protocol, separators=(",", ":"), ensure_ascii=False, sort_keys=True)
    return Refusal(
        BAD_REQUEST,
        "UnexpectedL2Protocol",
        f"Unexpected layer 2 protocol {protocol} for {error.ticker}",
        "init_l2.prelude.lightning_activation",
        "init_l2:84] prelude:116] lightning_activation:93]",
        {"ticker": error.ticker, "protocol": dict(error.protocol)},
        f"Unexpected layer 2 protocol {_debug_protocol(error.protocol)} for {error.ticker}",
        "init_l2:82] prelude:93] lightning_activation:92]",
    )


def _debug_protocol(protocol: Mapping[str, object]) -> str:
    """As Rust's `{:?}` prints the enum: its name, and its fields when it has any, `platform` the first of them."""
    name, data = str(protocol.get("type")), protocol.get("protocol_data")
    if not isinstance(data, Mapping):
        return name
    fields = sorted(data.items(), key=lambda item: item[0] != "platform")
    return f"{name} {{ {', '.join(f'{key}: {_debug(value)}' for key, value in fields)} }}"


def _debug(value: object) -> str:
    return quoted(value) if isinstance(value, str) else json.dumps(value)


def _listen_failed(error: peers.ListenFailed) -> Refusal:
    if error.errno is None:
        text = f"Invalid address: {error.reason}"
    else:  # as Rust's std words it
        text = f"I/O error {os.strerror(error.errno)} (os error {error.errno})"
    return Refusal(
        INTERNAL,
        "Internal",
        text,
        "lib.lightning_activation.ln_p2p",
        "lib:104] lightning_activation:309] ln_p2p:194]",
        text,
        seed_trace="lib:103] lightning_activation:280] ln_p2p:196]",
    )


def _transport(error: chain.ChainUnavailable) -> Refusal:
    path, trace = "lib.lightning_activation", "lib:104] lightning_activation:348]"
    return Refusal(INTERNAL, "Transport", error.reason, path, trace, error.reason)


# What init refuses, in the order in which it looks: mm2src/coins_activation/src/l2/init_l2_error.rs.
_say(
    activation.L2AlreadyActivated,
    lambda error: Refusal(
        BAD_REQUEST,
        "L2IsAlreadyActivated",
        f"Layer 2 {error.ticker} is already activated",
        "init_l2",
        "init_l2:81]",
        error.ticker,
    ),
)
_say(
    activation.L2ConfigNotFound,
    lambda error: Refusal(
        BAD_REQUEST,
        "L2ConfigIsNotFound",
        f"Layer 2 {error.ticker} config is not found",
        "init_l2.prelude",
        "init_l2:84] prelude:100]",
        error.ticker,
        seed_trace="init_l2:82] prelude:82]",
    ),
)
_say(
    activation.L2ProtocolParseError,
    lambda error: Refusal(
        INTERNAL,
        "L2ProtocolParseError",
        f"Layer 2 {error.ticker} protocol parsing failed: {error.error}",
        "init_l2.prelude",
        "init_l2:84] prelude:108]",
        {"ticker": error.ticker, "error": error.error},
    ),
)
_say(activation.UnexpectedL2Protocol, _unexpected_protocol)
_say(
    activation.L2ConfigParseError,
    lambda error: Refusal(
        INTERNAL,
        "L2ConfigParseError",
        f"Layer 2 configuration parsing failed: {error.error}",
        "init_l2.lightning_activation",
        "init_l2:85] lightning_activation:240]",
        error.error,
    ),
)
_say(
    activation.PlatformCoinNotActivated,
    lambda error: Refusal(
        BAD_REQUEST,
        "PlatformCoinIsNotActivated",
        f"Platform coin {error.ticker} is not activated",
        "init_l2.lp_coins",
        "init_l2:89] lp_coins:5070]",
        error.ticker,
        seed_trace="init_l2:87] lp_coins:3087]",
    ),
)
_say(
    activation.UnsupportedPlatformCoin,
    lambda error: Refusal(
        INTERNAL,
        "UnsupportedPlatformCoin",
        f"{error.platform_coin_ticker} is not a platform coin for layer 2 {error.l2_ticker}",
        "init_l2",
        "init_l2:92]",
        {"platform_coin_ticker": error.platform_coin_ticker, "l2_ticker": error.l2_ticker},
    ),
)
_say(
    activation.PlatformNotSegwit,
    lambda _: _of_init(
        "Lightning network is only supported in segwit mode",
        "init_l2:97] lightning_activation:250]",
    ),
)
_say(
    activation.InvalidPlatformConfiguration,
    lambda error: Refusal(
        INTERNAL,
        "InvalidPlatformConfiguration",
        f"Invalid config for platform coin: {error.platform_coin_ticker}, error: {error.err}",
        "init_l2.lightning_activation",
        "init_l2:97] lightning_activation:255]",
        {"platform_coin_ticker": error.platform_coin_ticker, "err": error.err},
        seed_trace="init_l2:95] lightning_activation:254]",
    ),
)
_say(
    activation.NodeNameTooLong,
    lambda _: _of_init(
        "Invalid request: Node name length can't be more than 32 characters",
        "init_l2:99] lightning_activation:267]",
    ),
)
_say(
    activation.InvalidNodeColor,
    lambda _: _of_init(
        "Invalid request: Invalid Hex Color",
        "init_l2:99] lightning_activation:280] lightning_activation:280]",
    ),
)

# Of the steps: EnableLightningError's texts (mm2src/coins/lightning/ln_errors.rs).
_say(chain.ChainUnavailable, _transport)
_say(peers.ListenFailed, _listen_failed)
_say(
    storage.FileDamaged,
    lambda error: _internal(f"I/O error {error.path} is damaged, kept as {error.set_aside}: {error.reason}"),
)
_say(storage.ProfileUnusable, lambda error: _internal(f"I/O error {error.path}: {error.reason}"))
_say(storage.DatabaseDamaged, lambda error: _internal(f"DB error {error.path} is damaged: {error.reason}"))

# Of `lightning::` calls.
_say(
    activation.NoSuchCoin,
    lambda error: Refusal(
        NOT_FOUND,
        "NoSuchCoin",
        f"No such coin {error.ticker}",
        "lp_coins",
        "lp_coins:5070]",
        error.ticker,
    ),
)
_say(
    activation.CoinIsNotLightning,
    lambda error: Refusal(
        BAD_REQUEST,
        "UnsupportedCoin",
        f"Lightning network is not supported for {error.ticker}",
        "lightning",
        "lightning:100]",
        error.ticker,
    ),
)
