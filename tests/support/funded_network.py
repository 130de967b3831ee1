"""A network whose channels are really on a regtest chain: each funding output is there, 2-of-2, and unspent.

    funded = await fund_on_bcoin(bcoin, seed=1, channels=50_000)      # or fund_on_kernel(chain, ...)
    funded.network, funded.close(3)

What is on the chain follows from seed and size, so the network of one chain is found in the cache for the next.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

from coincurve import PrivateKey

from core.chain.headers import Block, BlockTree, double_sha256, mine_header
from core.chain.kernel import KernelChain
from core.chain.kernel_blocks import ANYONE_CAN_SPEND, COINBASE_MATURITY_BLOCKS, subsidy_sat
from core.chain.transactions import (
    COINBASE_OUTPOINT,
    Output,
    Transaction,
    compact_size,
    merkle_root,
    parse_transaction,
    push_number,
    serialise,
)
from tests.counterparts.bcoin import Bcoin
from tests.support import network_shape
from tests.support.network import DEFAULT_NOW_S, Network, funding_keys, make_network

CHANNELS_A_BLOCK = 200
"""More than mainnet's and little enough that a whole block is soon read, as sources do that have no other way."""
CHANNELS_A_TRANSACTION = 4
DEPTH = 6
"""Of the last funding output: what BOLT 7 asks for."""
_FEE_SAT = 1_000
_SIGHASH_ALL = 1

Coin = tuple[bytes, int]
"""An outpoint that anybody can spend, and its satoshi."""


@dataclass(frozen=True)
class FundedNetwork:
    """`network`, and where its money is."""

    network: Network
    outpoints: tuple[bytes, ...]
    """Of each channel's funding output: txid in wire order and index, 36 bytes."""

    def close(self, channel: int) -> bytes:
        """A transaction that spends this channel's funding output, signed by both ends."""
        keys = funding_keys(self.network.seed, channel)
        return _spend(self.outpoints[channel], self.network.capacities_sat[channel], keys)


async def fund_on_bcoin(bcoin: Bcoin, seed: int, channels: int, *, now_s: int = DEFAULT_NOW_S) -> FundedNetwork:
    """The chain has to be fresh: ValueError otherwise. `bcoin.mine` goes on from there."""
    if await bcoin.rpc("getblockcount"):
        raise ValueError("only a chain of nothing but its genesis block is funded")
    return await _fund(_BcoinMiner(bcoin), seed, channels, now_s)


async def fund_on_kernel(chain: KernelChain, seed: int, channels: int, *, now_s: int = DEFAULT_NOW_S) -> FundedNetwork:
    """For a few hundred channels: the kernel tries each transaction with all that wait for the same block."""
    return await _fund(_KernelMiner(chain), seed, channels, now_s)


def funding_script(seed: int, channel: int) -> bytes:
    """BOLT 3: the script behind the hash of a funding output."""
    one, other = sorted(key.public_key.format() for key in funding_keys(seed, channel))
    return b"\x52\x21" + one + b"\x21" + other + b"\x52\xae"


class _Miner(Protocol):
    async def coins(self, wanted_sat: int) -> list[Coin]:
        """Ripe ones of at least so much together."""

    async def block(self, transactions: Sequence[bytes]) -> int:
        """The height of a new block of these, behind its coinbase in their order."""


async def _fund(miner: _Miner, seed: int, channels: int, now_s: int) -> FundedNetwork:
    chance = random.Random(f"leyden funded network {seed} {channels}")
    capacities = [network_shape.capacity_sat(chance) for _ in range(channels)]
    groups = _groups(chance, channels)
    prices = [sum(capacities[channel] for channel in group) + _FEE_SAT for group in groups]
    spread, coins = _spread(await miner.coins(sum(prices) + _FEE_SAT), prices)
    await miner.block([spread])
    scids: list[int] = []
    outpoints: list[bytes] = []
    plan, a_block = list(zip(coins, groups, strict=True)), CHANNELS_A_BLOCK // CHANNELS_A_TRANSACTION
    for first in range(0, len(plan), a_block):
        openings = [_opening(seed, coin, group, capacities) for coin, group in plan[first : first + a_block]]
        height = await miner.block([opening.raw for opening in openings])
        for place, opening in enumerate(openings, 1):
            scids += [height << 40 | place << 16 | index for index in range(len(opening.outputs))]
            outpoints += [opening.outpoint(index) for index in range(len(opening.outputs))]
    for _ in range(DEPTH - 1):
        await miner.block([])
    network = make_network(seed, channels, now_s=now_s, scids=scids, capacities=capacities)
    return FundedNetwork(network, tuple(outpoints))


def _groups(chance: random.Random, channels: int) -> list[list[int]]:
    """Which channels are opened by the same transaction: one to `CHANNELS_A_TRANSACTION`."""
    groups: list[list[int]] = []
    left = list(range(channels))
    while left:
        count = chance.randint(1, CHANNELS_A_TRANSACTION)
        groups.append(left[:count])
        left = left[count:]
    return groups


def _spread(coins: list[Coin], prices: list[int]) -> tuple[bytes, list[Coin]]:
    """A transaction that makes a coin of each price, and those coins; what is left over is its fee."""
    outputs = [Output(price, ANYONE_CAN_SPEND) for price in prices]
    raw = serialise([(outpoint, b"") for outpoint, _ in coins], outputs)
    spread = parse_transaction(raw)
    return raw, [(spread.outpoint(index), price) for index, price in enumerate(prices)]


def _opening(seed: int, coin: Coin, channels: list[int], capacities: list[int]) -> Transaction:
    outputs = [
        Output(capacities[channel], b"\x00\x20" + sha256(funding_script(seed, channel)).digest())
        for channel in channels
    ]
    return parse_transaction(serialise([(coin[0], b"")], outputs))


def _spend(outpoint: bytes, amount_sat: int, keys: tuple[PrivateKey, PrivateKey]) -> bytes:
    """BIP 143."""
    ordered = sorted(keys, key=lambda key: key.public_key.format())
    script = b"\x52" + b"".join(b"\x21" + key.public_key.format() for key in ordered) + b"\x52\xae"
    fee = min(_FEE_SAT, amount_sat // 2)
    output = Output(amount_sat - fee, ANYONE_CAN_SPEND)
    paid = output.amount_sat.to_bytes(8, "little") + b"\x01" + ANYONE_CAN_SPEND
    preimage = (
        b"\x02\x00\x00\x00"
        + double_sha256(outpoint)
        + double_sha256(b"\xff" * 4)
        + outpoint
        + compact_size(len(script))
        + script
        + amount_sat.to_bytes(8, "little")
        + b"\xff" * 4
        + double_sha256(paid)
        + bytes(4)
        + _SIGHASH_ALL.to_bytes(4, "little")
    )
    digest = double_sha256(preimage)
    signatures = [key.sign(digest, hasher=None) + bytes([_SIGHASH_ALL]) for key in ordered]
    items = (b"", *signatures, script)
    witness = bytes([len(items)]) + b"".join(compact_size(len(item)) + item for item in items)
    return serialise([(outpoint, b"")], [output], witness=witness)


class _KernelMiner:
    def __init__(self, chain: KernelChain) -> None:
        self._chain = chain

    async def coins(self, wanted_sat: int) -> list[Coin]:
        first = (await self._chain.tip()).height + 1
        coins: list[Coin] = []
        while sum(amount for _, amount in coins) < wanted_sat:
            height = first + len(coins)
            await self._chain.mine(1)
            reward = await self._chain.transaction_at(height, 0)
            assert reward is not None
            made = parse_transaction(reward)
            coins.append((made.outpoint(0), made.outputs[0].amount_sat))
        await self._chain.mine(COINBASE_MATURITY_BLOCKS)
        return coins

    async def block(self, transactions: Sequence[bytes]) -> int:
        for transaction in transactions:
            await self._chain.broadcast(transaction)
        tip = await self._chain.mine(1)
        if transactions:
            assert await self._chain.transaction_at(tip.height, len(transactions)) == transactions[-1]
        return tip.height


class _BcoinMiner:
    """Blocks are made here, since what is not standard is mined too. They hold no witnesses, so they commit to none."""

    def __init__(self, bcoin: Bcoin) -> None:
        self._bcoin = bcoin
        self._tree = BlockTree()

    async def coins(self, wanted_sat: int) -> list[Coin]:
        coins: list[Coin] = []
        while sum(amount for _, amount in coins) < wanted_sat:
            coins.append((await self._mine([]), subsidy_sat(self._tree.tip.height)))
        for _ in range(COINBASE_MATURITY_BLOCKS):
            await self._mine([])
        return coins

    async def block(self, transactions: Sequence[bytes]) -> int:
        await self._mine(transactions)
        return self._tree.tip.height

    async def _mine(self, transactions: Sequence[bytes]) -> bytes:
        """Gives the outpoint of what the block made."""
        parent, parsed = self._tree.tip, [parse_transaction(raw) for raw in transactions]
        reward = _reward(parent)
        root = merkle_root([reward.txid, *(transaction.txid for transaction in parsed)])
        header = mine_header(parent, root, int(time.time()))
        body = reward.raw + b"".join(transactions)
        refused = await self._bcoin.rpc("submitblock", (header + compact_size(1 + len(parsed)) + body).hex())
        assert refused is None, refused
        self._tree.add(header)
        return reward.outpoint(0)


def _reward(parent: Block) -> Transaction:
    height = parent.height + 1
    pushed = bytes([0x50 + height]) if height <= 16 else push_number(height)
    outputs = [Output(subsidy_sat(height), ANYONE_CAN_SPEND)]
    return parse_transaction(serialise([(COINBASE_OUTPOINT, pushed + push_number(0))], outputs))
