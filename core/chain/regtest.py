"""The embedded regtest chain: a small one of our own for practice and tests.

Headers and their proof of work are checked, scripts are not. It grows only by `mine`. Its file holds every block ever
accepted, in order, each as 80 bytes of header and their CRC32C; it is only ever appended to.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import google_crc32c

from core.base.clock import Clock
from core.base.events import EventBus
from core.base.finish import finish
from core.bolt.networks import NETWORKS, Network
from core.chain.errors import ChainDamaged, ChainUnavailable
from core.chain.headers import HEADER_BYTES, Block, BlockTree, HeaderRefused, double_sha256, mine_header
from core.chain.source import Capability, ChainReorganised, Tip, TipChanged
from core.chain.transactions import coinbase, merkle_root, txid
from core.storage.files import PRIVATE_FILE, open_regular, profile_errors

RECORD_BYTES = HEADER_BYTES + 4
_RECORDS_A_SLICE = 100
_BLOCKS_A_TURN = 50


class RegtestChain:
    """A `ChainSource` without capabilities. `path` None keeps the chain in memory."""

    network: Network = NETWORKS["regtest"]
    description = "embedded regtest chain: headers and proof of work are checked, scripts are not"
    capabilities: frozenset[Capability] = frozenset()

    def __init__(self, path: Path | None, bus: EventBus, clock: Clock) -> None:
        self._path = path
        self._bus = bus
        self._clock = clock
        self._tree = BlockTree()
        self._waiting: list[bytes] = []
        """Ids of the transactions that the next block commits to."""
        self._mining = asyncio.Lock()
        self._closed = False

    @classmethod
    async def open(cls, path: Path | None, bus: EventBus, clock: Clock) -> RegtestChain:
        """Read the chain's file, or begin at the genesis block. Raises ChainDamaged, ProfileUnusable."""
        chain = cls(path, bus, clock)
        if path is not None:
            offset = 0
            while (end := await finish(asyncio.to_thread(_read_slice, path, offset, chain._tree))) > offset:
                offset = end
        return chain

    async def tip(self) -> Tip:
        self._check_open()
        return _as_tip(self._tree.tip)

    async def header(self, height: int) -> bytes:
        self._check_open()
        try:
            return self._tree.at(height).header
        except IndexError:
            raise ChainUnavailable(reason=f"no block at height {height}") from None

    async def broadcast(self, transaction: bytes) -> bytes:
        """The next block commits to it; raises `core.chain.transactions.TransactionRefused` if it is none at all."""
        self._check_open()
        transaction_id = txid(transaction)
        if transaction_id not in self._waiting:
            self._waiting.append(transaction_id)
        return transaction_id

    async def mine(self, blocks: int = 1, *, on: int | None = None) -> Tip:
        """Add blocks to the tip, or beside the best chain on the block at height `on`; gives the tip.

        More blocks than the best chain has above `on` reorganise it. Raises ChainUnavailable, ProfileUnusable.
        """
        async with self._mining:
            self._check_open()
            parent = self._tree.tip if on is None else self._tree.at(on)
            while blocks > 0:
                headers = self._grind(parent, min(blocks, _BLOCKS_A_TURN))
                await finish(self._keep(headers))
                parent = self._tree.get(double_sha256(headers[-1]))
                blocks -= len(headers)
                self._check_open()
        return _as_tip(self._tree.tip)

    async def aclose(self) -> None:
        self._closed = True
        async with self._mining:
            self._waiting.clear()

    def _check_open(self) -> None:
        if self._closed:
            raise ChainUnavailable(reason="the chain is closed")

    def _grind(self, parent: Block, count: int) -> list[bytes]:
        headers: list[bytes] = []
        waiting, self._waiting = self._waiting, []
        for number in range(count):
            root = merkle_root([txid(coinbase(parent.height + 1, len(self._tree) + number)), *waiting])
            waiting = []
            headers.append(mine_header(parent, root, int(self._clock.time())))
            parent = Block.on(parent, headers[-1])
        return headers

    async def _keep(self, headers: list[bytes]) -> None:
        """File first, then memory; the caller sees to it that a cancellation does not come between them."""
        if self._path is not None:
            await asyncio.to_thread(_append, self._path, headers)
        else:
            await asyncio.sleep(0)
        self._accept(headers)

    def _accept(self, headers: list[bytes]) -> None:
        for header in headers:
            old = self._tree.tip
            block = self._tree.add(header)
            tip = self._tree.tip
            if tip is not block:
                continue
            if tip.previous is not old:
                self._bus.publish(ChainReorganised(self._tree.fork_height(old), _as_tip(old)))
            self._bus.publish(TipChanged(_as_tip(tip)))


def _as_tip(block: Block) -> Tip:
    return Tip(block.height, block.hash, block.time)


def _checksum(header: bytes) -> bytes:
    checksum: int = google_crc32c.value(header)
    return checksum.to_bytes(4, "big")


def _append(path: Path, headers: list[bytes]) -> None:
    with profile_errors(path):
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), PRIVATE_FILE)
        try:
            remaining = memoryview(b"".join(header + _checksum(header) for header in headers))
            while remaining:
                remaining = remaining[os.write(handle, remaining) :]
            os.fsync(handle)
        finally:
            os.close(handle)


def _read_slice(path: Path, offset: int, tree: BlockTree) -> int:
    """Take in the next records; gives the offset behind them, which is `offset` again at the end of the file.

    A record that a kill cut short stands at the end alone and is cut off. Raises ChainDamaged, ProfileUnusable.
    """
    with profile_errors(path):
        try:
            with open_regular(path) as file:
                file.seek(offset)
                data = file.read(_RECORDS_A_SLICE * RECORD_BYTES)
        except FileNotFoundError:
            return offset
        whole = len(data) - len(data) % RECORD_BYTES
        if whole < len(data):
            os.truncate(path, offset + whole)
    height = tree.tip.height + 1
    for start in range(0, whole, RECORD_BYTES):
        header, checksum = data[start : start + HEADER_BYTES], data[start + HEADER_BYTES : start + RECORD_BYTES]
        if _checksum(header) != checksum:
            raise ChainDamaged(path=path, height=height, reason="its checksum does not match")
        try:
            height = tree.add(header).height + 1
        except HeaderRefused as error:
            raise ChainDamaged(path=path, height=height, reason=str(error)) from error
    return offset + whole
