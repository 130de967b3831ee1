"""The coins' own methods, all legacy: `electrum`, `enable`, `my_balance`, `get_enabled_coins`, `disable_coin`.

A platform coin has no address and no balance here yet: there is no wallet on chain. So `address` is left out where it
would be its, and its amounts are 0.
"""

from __future__ import annotations

from typing import Any

from core.activation.activator import Activator
from core.activation.errors import CoinAlreadyActive, CoinNeedsServers, NoSuchCoin
from core.activation.platform import PlatformCoin
from core.activation.sources import Choice, Electrum, Embedded, bitcoin_rpc
from core.base.serde import Field, boolean, nullable, sequence, string, struct
from core.chain.electrum_protocol import parse_server
from core.chain.errors import NoChainSource
from core.channels.balance import decimal_text
from core.rpc.errors import to_rpc_error
from core.rpc.mmrpc.base import Context, Handler, LegacyError

_TLS = {"TCP": "t", "SSL": "s"}


async def _electrum(context: Context, request: object) -> object:
    read = struct(request, "ElectrumRequest", (Field("coin", string), Field("servers", sequence(_server))))
    servers = tuple(server for server in read["servers"] if server is not None)
    if not servers:
        raise LegacyError(f"legacy:104] {to_rpc_error(CoinNeedsServers(ticker=read['coin'])).message}")
    return await _enable_with(context, read["coin"], Electrum(servers))


def _server(value: object) -> str | None:
    """`HOST:PORT:s` or `:t`; None for one that is reached in another way, which native nodes of upstream skip too."""
    fields = (Field("url", string), Field("protocol", nullable(string), None))
    read = struct(value, "ElectrumConnSettings", fields)
    tls = _TLS.get(read["protocol"] or "TCP")
    if tls is None:
        return None
    server = f"{read['url']}:{tls}"
    try:
        parse_server(server)
    except ValueError:
        raise LegacyError(f"legacy:104] {read['url']} is not HOST:PORT") from None
    return server


async def _enable(context: Context, request: object) -> object:
    ticker = struct(request, "EnableRequest", (Field("coin", string),))["coin"]
    settings = context.node.settings
    core_named = settings.bitcoin_rpc or context.node.network.name != "regtest"
    return await _enable_with(context, ticker, bitcoin_rpc(settings) if core_named else Embedded())


async def _enable_with(context: Context, ticker: str, choice: Choice) -> object:
    try:
        coin = await context.node.activator.enable(ticker, choice)
    except (NoSuchCoin, CoinAlreadyActive) as error:
        raise LegacyError(f"legacy:104] lp_coins:4300] {to_rpc_error(error).message}") from None
    except NoChainSource as error:
        words = f"no Bitcoin Core is set for {error.network} (bitcoin-rpc); `electrum` takes servers"
        raise LegacyError(f"legacy:104] {words}") from None
    return {
        "result": "success",
        "balance": "0",
        "unspendable_balance": "0",
        "coin": ticker,
        "required_confirmations": _number(coin, "required_confirmations", 1),
        "requires_notarization": coin.entry.get("requires_notarization") is True,
    }


def _number(coin: PlatformCoin, key: str, default: int) -> int:
    value = coin.entry.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else default


async def _my_balance(context: Context, request: object) -> object:
    ticker = struct(request, "BalanceRequest", (Field("coin", string),))["coin"]
    activator = context.node.activator
    coin = activator.coin
    if coin is not None and coin.ticker == ticker:
        balance = activator.balance
        return {
            "coin": ticker,
            "balance": decimal_text(balance.spendable_msat, coin.decimals),
            "unspendable_balance": decimal_text(balance.unspendable_msat, coin.decimals),
            "address": context.node.node_id.hex(),
        }
    if activator.platforms.find(ticker) is None:
        raise LegacyError(f"legacy:239] {to_rpc_error(NoSuchCoin(ticker=ticker)).message}")
    return {"coin": ticker, "balance": "0", "unspendable_balance": "0"}


def _tickers(activator: Activator) -> list[str]:
    lightning = [] if activator.coin is None else [activator.coin.ticker]
    return [*activator.platforms.tickers(), *lightning]


async def _enabled(context: Context, _request: object) -> object:
    activator = context.node.activator
    coins: list[dict[str, Any]] = [{"ticker": ticker} for ticker in _tickers(activator)]
    if activator.coin is not None:
        coins[-1]["address"] = context.node.node_id.hex()
    return {"result": coins}


async def _enabled_now(context: Context, _params: object) -> object:
    return {"coins": [{"ticker": ticker} for ticker in _tickers(context.node.activator)]}


async def _disable(context: Context, request: object) -> object:
    read = struct(request, "DisableRequest", (Field("coin", string), Field("force_disable", boolean, default=False)))
    try:
        passive = await context.node.activator.disable(read["coin"], force=read["force_disable"])
    except NoSuchCoin as error:
        raise LegacyError(f"legacy:130] {to_rpc_error(error).message}") from None
    return {"result": {"coin": read["coin"], "cancelled_orders": [], "passivized": passive}}


COINS: dict[str, Handler] = {
    "electrum": _electrum,
    "enable": _enable,
    "my_balance": _my_balance,
    "get_enabled_coins": _enabled,
    "disable_coin": _disable,
}
"""The legacy ones."""

COINS_NOW: dict[str, Handler] = {"get_enabled_coins": _enabled_now}
"""Those of mmrpc 2.0."""
