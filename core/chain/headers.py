"""Block headers of the regtest chain: layout, rules, and the tree of blocks that the best chain is found in. Pure."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass, field

HEADER_BYTES = 80
REGTEST_BITS = 0x207FFFFF
REGTEST_TARGET = 0x7FFFFF << (8 * (0x20 - 3))
"""What `REGTEST_BITS` stands for: about every second hash is good enough."""
MEDIAN_TIME_BLOCKS = 11
_LAYOUT = struct.Struct("<i32s32sIII")
GENESIS_MERKLE_ROOT = bytes.fromhex("4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b")[::-1]
GENESIS_HEADER = _LAYOUT.pack(1, bytes(32), GENESIS_MERKLE_ROOT, 1296688602, REGTEST_BITS, 2)


class HeaderRefused(Exception):
    """A header breaks a rule; the text names it."""


def double_sha256(data: bytes) -> bytes:
    """Bitcoin's hash, 32 bytes in wire order."""
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """One header with its place in the tree."""

    header: bytes
    """80 bytes."""
    hash: bytes
    height: int
    previous: Block | None = field(repr=False)

    @classmethod
    def on(cls, parent: Block, header: bytes) -> Block:
        """The block that `header` makes on `parent`, unchecked."""
        return cls(header, double_sha256(header), parent.height + 1, parent)

    @property
    def time(self) -> int:
        return int(_LAYOUT.unpack(self.header)[3])

    def median_time(self) -> int:
        """Median of the times of this block and the ten before it."""
        times: list[int] = []
        block: Block | None = self
        while block is not None and len(times) < MEDIAN_TIME_BLOCKS:
            times.append(block.time)
            block = block.previous
        return sorted(times)[len(times) // 2]


def mine_header(parent: Block, merkle_root: bytes, time: int) -> bytes:
    """A header on `parent` that meets the regtest target; about two hashes of work."""
    time = max(time, parent.median_time() + 1)
    for nonce in range(1 << 32):
        header = _LAYOUT.pack(0x20000000, parent.hash, merkle_root, time, REGTEST_BITS, nonce)
        if int.from_bytes(double_sha256(header), "little") <= REGTEST_TARGET:
            return header
    raise AssertionError("half of all nonces meet the target")


class BlockTree:
    """All known blocks; the best chain is the highest one, the first seen wins a tie (all blocks weigh the same)."""

    def __init__(self) -> None:
        genesis = Block(GENESIS_HEADER, double_sha256(GENESIS_HEADER), 0, None)
        self._by_hash = {genesis.hash: genesis}
        self._best = [genesis]

    @property
    def tip(self) -> Block:
        return self._best[-1]

    def __len__(self) -> int:
        """How many blocks are known, of whichever chain."""
        return len(self._by_hash)

    def at(self, height: int) -> Block:
        """Of the best chain; IndexError above the tip."""
        if height < 0:
            raise IndexError(height)
        return self._best[height]

    def add(self, header: bytes) -> Block:
        """Check a header of 80 bytes and take it in; HeaderRefused otherwise.

        Checked: its parent is known, its target is regtest's, its hash meets it, its time is after the median of the
        eleven before. Scripts, signatures and transactions are not.
        """
        _version, previous_hash, _root, time, bits, _nonce = _LAYOUT.unpack(header)
        parent = self._by_hash.get(previous_hash)
        if parent is None:
            raise HeaderRefused("its previous block is unknown")
        if bits != REGTEST_BITS:
            raise HeaderRefused("its target is not regtest's")
        block = Block.on(parent, header)
        if int.from_bytes(block.hash, "little") > REGTEST_TARGET:
            raise HeaderRefused("its hash misses the target")
        if time <= parent.median_time():
            raise HeaderRefused("its time is not after the median of the blocks before")
        if block.hash in self._by_hash:
            raise HeaderRefused("it stands there twice")
        self._by_hash[block.hash] = block
        if block.height > self.tip.height:
            self._follow(block)
        return block

    def get(self, block_hash: bytes) -> Block:
        """A known block, of whichever chain; KeyError otherwise."""
        return self._by_hash[block_hash]

    def fork_height(self, block: Block) -> int:
        """The last height that `block`'s chain shares with the best one."""
        while block.height >= len(self._best) or self._best[block.height] is not block:
            assert block.previous is not None  # genesis is in every best chain
            block = block.previous
        return block.height

    def _follow(self, tip: Block) -> None:
        fork = self.fork_height(tip)
        branch: list[Block] = []
        block = tip
        while block.height > fork:
            branch.append(block)
            assert block.previous is not None
            block = block.previous
        self._best[fork + 1 :] = reversed(branch)
