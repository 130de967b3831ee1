"""The embedded regtest chain on Bitcoin Core's own kernel: whole blocks, with scripts and money, checked as Core does.

It grows only by `mine`, and what it mines to nobody it can pay out. The kernel works in worker threads, one call at a
time and in short slices; its own file (`kernel_file.py`) makes the chain outlive a kill.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from core.base.clock import Clock
from core.base.events import EventBus
from core.base.finish import finish
from core.bolt.networks import NETWORKS, Network
from core.chain.errors import ChainUnavailable
from core.chain.headers import Block
from core.chain.kernel_blocks import ANYONE_CAN_SPEND
from core.chain.kernel_state import ChainState, as_tip
from core.chain.source import Bears, Capability, Tip, UnspentOutput

_BLOCKS_A_TURN = 50
T = TypeVar("T")


class KernelChain:
    """A `ChainSource`, `TransactionSource`, `OutputSource` and `SpendWatch` on regtest."""

    network: Network = NETWORKS["regtest"]
    description = "embedded regtest chain, validated by Bitcoin Core's kernel"
    capabilities = frozenset({Capability.TX_BY_POSITION, Capability.OUTPUT_UNSPENT, Capability.SPEND_WATCH})
    bears = Bears(at_once=4, a_second=None)
    """One call at a time in any case; the others wait for the lock."""

    def __init__(self, state: ChainState, bus: EventBus, clock: Clock) -> None:
        """Use `open`."""
        self._state = state
        self._bus = bus
        self._clock = clock
        self._lock = asyncio.Lock()
        """Held around whatever touches the kernel."""
        self._closed = False

    @classmethod
    async def open(cls, folder: Path | None, bus: EventBus, clock: Clock) -> KernelChain:
        """Read the chain kept in `folder`, or begin at the genesis block; None keeps it in memory.

        Raises KernelMissing where Bitcoin Core's kernel does not run, ChainDamaged, ChainUnavailable, ProfileUnusable.
        """
        state: ChainState | None = None
        try:
            # Assigned within the thread's own coroutine: a cancellation that comes meanwhile must find it, to close it.
            async def begin() -> None:
                nonlocal state
                state = await asyncio.to_thread(ChainState, folder)

            await finish(begin())
            assert state is not None  # `begin` has returned
            while await finish(asyncio.to_thread(state.load, _BLOCKS_A_TURN)):
                pass
        except BaseException:
            if state is not None:
                await finish(asyncio.to_thread(state.close))
            raise
        return cls(state, bus, clock)

    async def tip(self) -> Tip:
        self._check_open()
        return as_tip(self._state.tree.tip)

    async def header(self, height: int) -> bytes:
        return self._at(height).header

    async def broadcast(self, transaction: bytes) -> bytes:
        """The next block takes it in. Raises `TransactionRefused` with the kernel's reason, ChainUnavailable."""
        return await self._call(lambda state: state.broadcast(transaction, self._time()))

    async def transaction_at(self, height: int, index: int) -> bytes | None:
        """See `TransactionSource`."""
        return await self._call(lambda state: state.transaction_at(height, index))

    async def unspent_output(self, txid: bytes, index: int) -> UnspentOutput | None:
        """See `OutputSource`."""
        self._check_open()
        coin = self._state.coin(txid + index.to_bytes(4, "little"))
        if coin is None:
            return None
        return UnspentOutput(coin.output.amount_sat, coin.output.script_pubkey, coin.height)

    async def spent_at(self, height: int) -> frozenset[bytes] | None:
        """See `SpendWatch`."""
        return await self._call(lambda state: state.spent_at(height))

    async def mine(self, blocks: int = 1, *, script: bytes = ANYONE_CAN_SPEND, on: int | None = None) -> Tip:
        """Add blocks that pay `script` to the tip, or beside the best chain on the block at height `on`; gives the tip.

        More blocks than the best chain has above `on` reorganise it; what the left ones held waits again as far as it
        is still valid. Raises ChainUnavailable, ProfileUnusable.
        """
        parent = None if on is None else self._at(on)
        while blocks > 0:
            count = min(blocks, _BLOCKS_A_TURN)
            async with self._lock:
                self._check_open()
                parent = await finish(self._mine_slice(count, script, parent))
            blocks -= count
        return await self.tip()

    async def pay(self, script_pubkey: bytes, amount_sat: int) -> bytes:
        """Pay from what was mined to nobody, in the next block; gives the txid in wire order.

        Coins are ripe 100 blocks after they were mined. Raises FaucetEmpty, ChainUnavailable.
        """
        if amount_sat <= 0:
            raise ValueError(f"no payment is of {amount_sat} sat")
        return await self._call(lambda state: state.pay(script_pubkey, amount_sat, self._time()))

    async def aclose(self) -> None:
        if self._closed:
            return
        self._closed = True
        await finish(self._close())

    def _at(self, height: int) -> Block:
        self._check_open()
        try:
            return self._state.tree.at(height)
        except IndexError:
            raise ChainUnavailable(reason=f"no block at height {height}") from None

    async def _mine_slice(self, blocks: int, script: bytes, parent: Block | None) -> Block:
        """In one piece: what is mined is in the file, in memory and told, or in none of them."""
        parent = parent or self._state.tree.tip
        last, events = await asyncio.to_thread(
            self._state.mine, blocks, script=script, parent=parent, time=self._time()
        )
        for event in events:
            self._bus.publish(event)
        return last

    async def _call(self, work: Callable[[ChainState], T]) -> T:
        async with self._lock:
            self._check_open()
            return await finish(asyncio.to_thread(work, self._state))

    async def _close(self) -> None:
        async with self._lock:
            await asyncio.to_thread(self._state.close)

    def _time(self) -> int:
        return int(self._clock.time())

    def _check_open(self) -> None:
        if self._closed:
            raise ChainUnavailable(reason="the chain is closed")
