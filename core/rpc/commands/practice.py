"""`minepractice`, `payfaucet`: Leyden's own, on the practice chain inside the profile."""

from __future__ import annotations

import asyncio

from core.base.finish import finish
from core.chain.addresses import script_of
from core.chain.transactions import TransactionRefused
from core.rpc.commands.base import Command, Context, Json
from core.rpc.errors import INVALID_PARAMS, LIGHTNINGD, RpcError
from core.rpc.params import BadParam, Param, Scope, decimal, optional, raw_text
from core.rpc.tokens import Token

MAX_BLOCKS = 1000
"""In one request: some seconds of work."""
MAX_SAT = 21_000_000 * 100_000_000
MAX_SCRIPT_BYTES = 10_000
"""A longer one can never be spent (Bitcoin Core's MAX_SCRIPT_SIZE)."""
_NO_DESTINATION = "destination: should be an address of {network} or a script in hex"


def _blocks(token: Token, _scope: Scope) -> int:
    number = decimal(token.text)
    if number is None or not 1 <= number <= MAX_BLOCKS:
        raise BadParam(f"should be between 1 and {MAX_BLOCKS}")
    return number


async def _minepractice(context: Context, *, blocks: int) -> Json:
    tip = await context.node.practice_chain.mine(blocks)
    return {"height": tip.height}


def _check_mining(context: Context, *, blocks: int) -> None:
    _ = blocks, context.node.practice_chain  # raises NoPracticeChain


MINEPRACTICE = Command(
    "minepractice",
    "utility",
    f"Leyden's own: mine {{blocks}} (default 1, at most {MAX_BLOCKS}) on the practice chain inside the profile, and "
    "give the height of its tip. Works on regtest alone, once the coin is active on that chain",
    _minepractice,
    (optional("blocks", _blocks, default=1),),
    verify=_check_mining,
    before_active=True,
)


def _amount(token: Token, _scope: Scope) -> int:
    number = decimal(token.text)
    if number is None or not 1 <= number <= MAX_SAT:
        raise BadParam(f"should be between 1 and {MAX_SAT} sat")
    return number


async def _script(context: Context, destination: str) -> bytes:
    """RpcError when the destination is none."""
    try:
        script = bytes.fromhex(destination) if " " not in destination else b""
    except ValueError:
        script = b""
    if 0 < len(script) <= MAX_SCRIPT_BYTES:
        return script
    network = context.node.network
    try:
        return await finish(asyncio.to_thread(script_of, destination, network))
    except ValueError:
        raise RpcError(INVALID_PARAMS, _NO_DESTINATION.format(network=network.name)) from None


async def _payfaucet(context: Context, *, destination: str, amount_sat: int) -> Json:
    chain = context.node.practice_chain
    script = await _script(context, destination)
    try:
        txid = await chain.pay(script, amount_sat)
    except TransactionRefused as refused:
        raise RpcError(LIGHTNINGD, f"The practice chain refuses this payment: {refused}") from None
    return {"txid": txid[::-1].hex()}


async def _check_payment(context: Context, *, destination: str, amount_sat: int) -> None:
    _ = amount_sat, context.node.practice_chain  # raises NoPracticeChain
    await _script(context, destination)


PAYFAUCET = Command(
    "payfaucet",
    "utility",
    "Leyden's own: pay {amount_sat} to {destination}, an address or a script in hex, from what the practice chain "
    "mined to nobody; the next block takes the payment in. What a block makes can be spent 100 blocks later",
    _payfaucet,
    (Param("destination", raw_text), Param("amount_sat", _amount)),
    verify=_check_payment,
    before_active=True,
)
