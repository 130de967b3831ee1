"""What a network looks like: who has channels with whom, how large, on what terms. Drawn after mainnet of 2026-02.

Percentiles and shares below were measured on that topology (50,808 channels, 17,324 nodes, top degree 1,989).
"""

from __future__ import annotations

import bisect
import itertools
import math
import random

NODES_A_CHANNEL = 17_324 / 50_808

_DEGREES_AT_LEAST = (
    (1, 1.0),
    (2, 0.4579),
    (3, 0.2928),
    (5, 0.1726),
    (10, 0.0872),
    (20, 0.0452),
    (50, 0.01755),
    (100, 0.00716),
    (200, 0.00254),
    (500, 0.000866),
    (1000, 0.000346),
    (1989, 0.0000577),
)
"""Share of the nodes with that many channels or more."""
_CAPACITIES = (
    (0.0, 1_000),
    (0.01, 1_500),
    (0.10, 20_000),
    (0.25, 200_000),
    (0.50, 1_283_178),
    (0.75, 5_000_000),
    (0.90, 15_653_157),
    (0.99, 200_000_000),
    (1.0, 1_000_000_000),
)
"""Satoshi by quantile."""

BASE_MSAT = ((0, 45), (1000, 42), (1, 4), (500, 2), (100, 2), (2000, 2), (5000, 2), (10_000, 1))
PPM = ((1, 22), (0, 7), (500, 8), (100, 12), (10, 10), (250, 11), (1000, 14), (2000, 8), (3000, 4), (5000, 4))
MINIMUM_MSAT = ((1000, 80), (1, 11), (0, 2), (100_000, 3), (1_000_000, 3), (10_000, 1))
DELTAS = ((80, 39), (144, 19), (40, 18), (100, 12), (34, 8), (18, 3), (72, 1))
MAXIMUM_SHARES = ((0.99, 64), (1.0, 8), (0.5, 10), (0.25, 8), (0.1, 6), (0.01, 4))
"""Of the capacity."""


def weighted(chance: random.Random, table: tuple[tuple[float, int], ...]) -> float:
    """One value of `table` by its weights."""
    values, weights = zip(*table, strict=True)
    return chance.choices(values, weights)[0]


def degrees(nodes: int, channels: int) -> list[int]:
    """How many channels each node has, most first; their sum is twice `channels`. ValueError when it cannot be."""
    if not 2 <= nodes <= channels + 1:
        raise ValueError(f"{nodes} nodes cannot be connected by {channels} channels")
    found = [_degree((number + 0.5) / nodes) for number in range(nodes)]
    wanted = 2 * channels
    scale = (wanted - nodes) / max(1, sum(found) - nodes)
    most = max(1, channels // 2)  # or the largest had to have channels with itself
    found = [min(most, 1 + int((degree - 1) * scale)) for degree in found]
    while (missing := wanted - sum(found)) > 0:
        step = max(1, missing // nodes)
        for number in range(min(nodes, missing // step)):
            found[number] += step
    return sorted(found, reverse=True)


def _degree(share: float) -> int:
    """The degree that this share of the nodes has or exceeds, between the measured points on logarithmic scales."""
    for (low, above), (high, below) in itertools.pairwise(_DEGREES_AT_LEAST):
        if share >= below:
            part = (math.log(share) - math.log(above)) / (math.log(below) - math.log(above))
            return int(math.exp(math.log(low) + part * (math.log(high) - math.log(low))) + 1e-9)
    return _DEGREES_AT_LEAST[-1][0]


def links(chance: random.Random, nodes: int, channels: int) -> list[tuple[int, int]]:
    """Both ends of each channel: one connected network, parallel channels where chance has it, none to oneself."""
    wanted = degrees(nodes, channels)
    order = list(range(nodes))
    chance.shuffle(order)
    found: list[tuple[int, int]] = []
    open_ends = [order[0]] * wanted[0]
    for node, degree in zip(order[1:], wanted[1:], strict=True):
        at = chance.randrange(len(open_ends))
        open_ends[at], open_ends[-1] = open_ends[-1], open_ends[at]
        found.append((open_ends.pop(), node))
        open_ends += [node] * (degree - 1)
    chance.shuffle(open_ends)
    while open_ends:
        one, other = open_ends.pop(), open_ends.pop()
        while one == other:
            other = chance.randrange(nodes)
        found.append((one, other))
    chance.shuffle(found)
    return found


def capacity_sat(chance: random.Random) -> int:
    """Of one channel, rounded to two digits as people do."""
    share = chance.random()
    at = bisect.bisect_right(_CAPACITIES, share, key=lambda row: row[0])
    (before, low), (after, high) = _CAPACITIES[at - 1], _CAPACITIES[at]
    exact = math.exp(math.log(low) + (share - before) / (after - before) * math.log(high / low))
    return int(round(exact, 1 - int(math.log10(exact))))


def scids(chance: random.Random, count: int, first_block: int, blocks: int) -> list[int]:
    """Different ones as u64, ascending; a lone output of its transaction most times."""
    found: set[int] = set()
    while len(found) < count:
        output = chance.choices((0, 1, 2, 3), (60, 36, 3, 1))[0]
        found.add((first_block + chance.randrange(blocks)) << 40 | chance.randrange(1, 4_000) << 16 | output)
    return sorted(found)
