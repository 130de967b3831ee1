"""Headers without blocks: what a light client can check of the chain that a server tells of. Pure.

Checked: each header links to the one before, its hash meets its target, the target is one that the network's rules
allow there, and its time is after the median of those before (Bitcoin Core's validation.cpp and pow.cpp). Kept are the
last headers only, from a change of difficulty on, which is enough to follow the chain through reorganisations.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from core.chain.headers import HEADER_BYTES, MEDIAN_TIME_BLOCKS, HeaderRefused, double_sha256

PERIOD_BLOCKS = 2016
"""Blocks of one difficulty."""
PERIOD_S = 14 * 24 * 3600
KEPT_PERIODS = 3
_LAYOUT = struct.Struct("<i32s32sIII")
_TARGET_BITS = 256


@dataclass(frozen=True, slots=True)
class HeaderRules:
    """Which targets a network allows (chainparams.cpp: powLimit and the flags beside it)."""

    limit_bits: int
    """The easiest target of all, in its compact form."""
    retargets: bool = True
    """Difficulty follows the blocks' times; otherwise it never changes."""
    easy_blocks: bool = False
    """A block that came late may have the easiest target, so that a light client cannot tell which one is due."""
    weakest_bits: int | None = None
    """What the newest blocks are at least as hard as: nobody makes a chain of old difficulty pass for today's."""


RULES: dict[str, HeaderRules] = {
    # A sixteenth of the difficulty of block 840,000 (0x17034219).
    "bitcoin": HeaderRules(0x1D00FFFF, weakest_bits=0x17342190),
    "testnet": HeaderRules(0x1D00FFFF, easy_blocks=True),
    "testnet4": HeaderRules(0x1D00FFFF, easy_blocks=True),
    "signet": HeaderRules(0x1E0377AE),
    "regtest": HeaderRules(0x207FFFFF, retargets=False),
}


def target_of(bits: int) -> int:
    """The number that a hash must not exceed; HeaderRefused when `bits` stands for none (arith_uint256::SetCompact)."""
    exponent, mantissa = bits >> 24, bits & 0x7FFFFF
    target = mantissa << 8 * (exponent - 3) if exponent > 3 else mantissa >> 8 * (3 - exponent)
    if bits & 0x800000 or not 0 < target < 1 << _TARGET_BITS:
        raise HeaderRefused("its target is none")
    return target


def bits_of(target: int) -> int:
    """The compact form of a target; the digits that it has no room for are lost (arith_uint256::GetCompact)."""
    size = (target.bit_length() + 7) // 8
    mantissa = target << 8 * (3 - size) if size <= 3 else target >> 8 * (size - 3)
    if mantissa & 0x800000:
        mantissa, size = mantissa >> 8, size + 1
    return size << 24 | mantissa


@dataclass(frozen=True, slots=True)
class Header:
    """One header, read but not checked."""

    raw: bytes
    """80 bytes."""
    hash: bytes
    previous: bytes
    merkle_root: bytes
    time: int
    bits: int

    @classmethod
    def read(cls, raw: bytes) -> Header:
        """HeaderRefused when it has not 80 bytes."""
        if len(raw) != HEADER_BYTES:
            raise HeaderRefused(f"it has {len(raw)} bytes, not {HEADER_BYTES}")
        _version, previous, merkle_root, time, bits, _nonce = _LAYOUT.unpack(raw)
        return cls(raw, double_sha256(raw), previous, merkle_root, time, bits)

    def check_work(self, rules: HeaderRules) -> None:
        """HeaderRefused when its target is easier than the network allows, or its hash misses it."""
        target = target_of(self.bits)
        if target > target_of(rules.limit_bits):
            raise HeaderRefused("its target is easier than the network allows")
        if int.from_bytes(self.hash, "little") > target:
            raise HeaderRefused("its hash misses the target")

    @property
    def work(self) -> int:
        """Hashes that it takes on average to find such a header."""
        return (1 << _TARGET_BITS) // (target_of(self.bits) + 1)


class HeaderWindow:
    """The last headers of one chain, without a gap. `base` is the height of the first one."""

    def __init__(self, rules: HeaderRules, base: int) -> None:
        self.rules = rules
        self.base = base
        self._headers: list[Header] = []

    def __len__(self) -> int:
        return len(self._headers)

    @property
    def height(self) -> int:
        """Of the last header; `base` - 1 while there is none."""
        return self.base + len(self._headers) - 1

    @property
    def tip(self) -> Header:
        return self._headers[-1]

    def at(self, height: int) -> Header | None:
        """The header at `height`, None outside the window."""
        return self._headers[height - self.base] if self.base <= height <= self.height else None

    def work_above(self, height: int) -> int:
        """Work of the headers above `height`."""
        return sum(header.work for header in self._headers[max(0, height + 1 - self.base) :])

    def up_to(self, height: int) -> HeaderWindow:
        """A window of its own that ends at `height`; the oldest period goes when more are there than are kept."""
        base = self.base
        if height - base > KEPT_PERIODS * PERIOD_BLOCKS:
            base += PERIOD_BLOCKS
        window = HeaderWindow(self.rules, base)
        window._headers = self._headers[base - self.base : height + 1 - self.base]
        return window

    def extend(self, headers: Sequence[bytes]) -> None:
        """Check and append headers of 80 bytes, in order; HeaderRefused at the first that breaks a rule.

        About 6 µs each: callers in an event loop give at most a few hundred.
        """
        for raw in headers:
            try:
                header = Header.read(raw)
                self._check(header)
            except HeaderRefused as error:
                raise HeaderRefused(f"header at height {self.height + 1}: {error}") from None
            self._headers.append(header)

    def _check(self, header: Header) -> None:
        header.check_work(self.rules)
        if self.rules.weakest_bits is not None and target_of(header.bits) > target_of(self.rules.weakest_bits):
            raise HeaderRefused("its target is far easier than this network's have been for years")
        if not self._headers:
            return
        if header.previous != self.tip.hash:
            raise HeaderRefused("it does not follow the one before")
        if header.time <= self._median_time():
            raise HeaderRefused("its time is not after the median of the blocks before")
        if not self.rules.easy_blocks and header.bits != self._due_bits(header.bits):
            raise HeaderRefused("its target is not the one that is due")

    def _median_time(self) -> int:
        """Zero while fewer than the eleven before are known."""
        times = sorted(header.time for header in self._headers[-MEDIAN_TIME_BLOCKS:])
        return times[MEDIAN_TIME_BLOCKS // 2] if len(times) == MEDIAN_TIME_BLOCKS else 0

    def _due_bits(self, found: int) -> int:
        """The target of the next header; `found` where the header it is computed from lies before the window."""
        height = self.height + 1
        if not self.rules.retargets or height % PERIOD_BLOCKS:
            return self.tip.bits
        first = self.at(height - PERIOD_BLOCKS)
        if first is None:
            return found
        taken = min(max(self.tip.time - first.time, PERIOD_S // 4), PERIOD_S * 4)
        return bits_of(min(target_of(self.tip.bits) * taken // PERIOD_S, target_of(self.rules.limit_bits)))


def window_start(height: int) -> int:
    """Where a window that ends at `height` begins: at a change of difficulty, a whole period or more below."""
    return max(0, height // PERIOD_BLOCKS - 1) * PERIOD_BLOCKS


def merkle_root_of(txid: bytes, index: int, branch: Sequence[bytes]) -> bytes:
    """The root that `txid` at `index` of a block has with the hashes of its branch, all in wire order."""
    found = txid
    for sibling in branch:
        found = double_sha256(sibling + found if index & 1 else found + sibling)
        index >>= 1
    return found
