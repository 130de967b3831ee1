"""What `init` looks at before there is a task, in the contract's order (Komodo DeFi Framework, init_l2.rs)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from core.activation.coins import Coins, LightningCoin, check_blocktime, is_segwit
from core.activation.errors import (
    InvalidNodeColor,
    L2AlreadyActivated,
    NodeNameTooLong,
    OtherL2Active,
    PlatformCoinNotActivated,
    PlatformNotSegwit,
    UnsupportedPlatformCoin,
)
from core.activation.params import LightningParams
from core.activation.platform import PlatformCoin, PlatformCoins
from core.base.setting_faults import MAX_ALIAS_BYTES
from core.base.settings import Settings


@dataclass(frozen=True, slots=True)
class Prepared:
    """A Lightning coin that can be activated."""

    coin: LightningCoin
    platform: PlatformCoin
    params: LightningParams | None
    """None: as the settings say."""


def prepare_init(
    ticker: str, params: LightningParams | None, coins: Coins, platforms: PlatformCoins, lightning: str | None
) -> Prepared:
    """`lightning` is the Lightning coin that is active or on its way. Unlike upstream's a second init is refused here.

    Raises L2AlreadyActivated, L2ConfigNotFound, L2ProtocolParseError, UnexpectedL2Protocol, L2ConfigParseError,
    PlatformCoinNotActivated, UnsupportedPlatformCoin, PlatformNotSegwit, InvalidPlatformConfiguration,
    NodeNameTooLong, InvalidNodeColor, OtherL2Active.
    """
    if ticker == lightning or platforms.find(ticker) is not None:
        raise L2AlreadyActivated(ticker=ticker)
    coin = coins.lightning(ticker)
    platform = platforms.find(coin.platform)
    if platform is None:
        if coin.platform == lightning:
            raise UnsupportedPlatformCoin(platform_coin_ticker=coin.platform, l2_ticker=ticker)
        raise PlatformCoinNotActivated(ticker=ticker)
    check_platform(platform)
    if params is not None:
        _check_params(params)
    if lightning is not None:
        raise OtherL2Active(ticker=ticker, active=lightning)
    return Prepared(coin, platform, params)


def binds_of(settings: Settings, params: LightningParams | None) -> tuple[str, ...]:
    """Where to listen: as the settings say; with parameters on their port, at the settings' addresses.

    Who asks for a port and set no address means every one of this computer, as upstream has it (`:PORT`); but loopback
    on regtest, and nowhere with `offline` or `always-use-proxy`.
    """
    if params is None or settings.offline or (settings.always_use_proxy and not settings.bind):
        return settings.binds
    if not settings.bind:
        return (f"{'127.0.0.1' if settings.network == 'regtest' else ''}:{params.listening_port}",)
    local = [bind for bind in settings.bind if bind.startswith("/")]
    hosts = [bind.rpartition(":")[0] for bind in settings.bind if not bind.startswith("/")]
    return (*local, *dict.fromkeys(f"{host}:{params.listening_port}" for host in hosts))


def check_platform(platform: PlatformCoin) -> None:
    """Whether Lightning can stand on this coin. Raises PlatformNotSegwit, InvalidPlatformConfiguration."""
    if not is_segwit(platform.entry):
        raise PlatformNotSegwit(ticker=platform.ticker)
    check_blocktime(platform.ticker, platform.entry)


def _check_params(params: LightningParams) -> None:
    length = len(params.name.encode("utf-8", "surrogatepass"))
    if length > MAX_ALIAS_BYTES:
        raise NodeNameTooLong(length=length)
    if re.fullmatch("[0-9A-Fa-f]{6}", params.color) is None:
        raise InvalidNodeColor(color=params.color)
