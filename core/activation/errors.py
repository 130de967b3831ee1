"""What can be wrong with a task, with a coin, or with asking for what only an active node has."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from core.base.errors import LeydenError


class NodeNotActive(LeydenError):
    """Lightning is not up: activation did not run, is under way, or failed."""


class TaskNotFound(LeydenError):
    """No task has this id: never started, forgotten, cancelled or being cancelled."""

    def __init__(self, *, task_id: int) -> None:
        super().__init__(task_id=task_id)
        self.task_id = task_id


class TaskFinished(LeydenError):
    """The task ended before it could be cancelled."""

    def __init__(self, *, task_id: int) -> None:
        super().__init__(task_id=task_id)
        self.task_id = task_id


class CoinsFileInvalid(LeydenError):
    """The user's own coins file is no list of coins; `key` says where, such as `[2].coin`."""

    def __init__(self, *, path: Path, key: str, reason: str) -> None:
        super().__init__(path=path, key=key, reason=reason)
        self.path, self.key, self.reason = path, key, reason


class _OfCoin(LeydenError):
    """About one coin."""

    def __init__(self, *, ticker: str) -> None:
        super().__init__(ticker=ticker)
        self.ticker = ticker


class NoSuchCoin(_OfCoin):
    """The coin is not active, or the coins file of this network does not have it."""


class CoinAlreadyActive(_OfCoin):
    """The platform coin is active, or being activated."""


class CoinNotEnablable(_OfCoin):
    """The coin is no platform coin of this network: no plain UTXO coin."""


class CoinNeedsServers(_OfCoin):
    """`electrum` was called without a server that can be used."""


class CoinIsNotLightning(_OfCoin):
    """A `lightning::` call for a coin that is active and no Lightning coin."""


# -- what `task::enable_lightning::init` refuses, in the order in which it looks


class L2AlreadyActivated(_OfCoin):
    """A coin of this ticker is active; of Lightning also while it is being activated."""


class L2ConfigNotFound(_OfCoin):
    """No coin of this network has the ticker."""


class L2ProtocolParseError(LeydenError):
    """The coin's `protocol` breaks the schema: `key` says where, `error` what in serde's words."""

    def __init__(self, *, ticker: str, key: str, error: str) -> None:
        super().__init__(ticker=ticker, key=key, error=error)
        self.ticker, self.key, self.error = ticker, key, error


class UnexpectedL2Protocol(LeydenError):
    """The coin is no Lightning coin; `protocol` is what it is, its keys sorted."""

    def __init__(self, *, ticker: str, protocol: Mapping[str, object]) -> None:
        super().__init__(ticker=ticker, protocol=protocol)
        self.ticker, self.protocol = ticker, protocol


class L2ConfigParseError(LeydenError):
    """The coin's own keys break the schema: `key` says which, `error` how in serde's words."""

    def __init__(self, *, ticker: str, key: str, error: str) -> None:
        super().__init__(ticker=ticker, key=key, error=error)
        self.ticker, self.key, self.error = ticker, key, error


class PlatformCoinNotActivated(_OfCoin):
    """The platform coin is not active. As upstream, `ticker` is the Lightning coin's, not the platform's."""


class UnsupportedPlatformCoin(LeydenError):
    """What the Lightning coin names as its platform is active, and is no UTXO coin."""

    def __init__(self, *, platform_coin_ticker: str, l2_ticker: str) -> None:
        super().__init__(platform_coin_ticker=platform_coin_ticker, l2_ticker=l2_ticker)
        self.platform_coin_ticker, self.l2_ticker = platform_coin_ticker, l2_ticker


class PlatformNotSegwit(_OfCoin):
    """The platform coin's addresses are not segwit; `ticker` is the platform's."""


class InvalidPlatformConfiguration(LeydenError):
    """A key that Lightning needs is missing in the platform coin's entry."""

    def __init__(self, *, platform_coin_ticker: str, err: str) -> None:
        super().__init__(platform_coin_ticker=platform_coin_ticker, err=err)
        self.platform_coin_ticker, self.err = platform_coin_ticker, err


class NodeNameTooLong(LeydenError):
    """The name has more than 32 bytes."""

    def __init__(self, *, length: int) -> None:
        super().__init__(length=length)
        self.length = length


class InvalidNodeColor(LeydenError):
    """The colour is not six hex digits."""

    def __init__(self, *, color: str) -> None:
        super().__init__(color=color)
        self.color = color


class OtherL2Active(LeydenError):
    """One node runs one Lightning coin, and it is `active`."""

    def __init__(self, *, ticker: str, active: str) -> None:
        super().__init__(ticker=ticker, active=active)
        self.ticker, self.active = ticker, active
