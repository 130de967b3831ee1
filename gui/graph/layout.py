"""Where each node is drawn: forces between dots, with numpy, for a thread. Pure, and the same every time.

Nodes push each other away and channels pull their ends together (ForceAtlas2's forces: Jacomy, Venturini, Heymann and
Bastian 2014, without its speed rules). Many nodes push through a grid, as particles in a mesh do, and one by one at the
end. A node that had a place keeps it; what is new settles around it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np

from gui.graph.neighbourhood import Array, Neighbourhood

Place = tuple[float, float]

_ROUNDS = 60
_ROUNDS_OF_NEW = 30
_ROUNDS_ONE_BY_ONE = 2
"""The last ones with many nodes."""
_MANY = 400
_GRID = 128
"""Cells a side."""
_BLOCK = 128
"""Rows of distances at once: they stay in the processor's cache."""
_GOLDEN_ANGLE = np.pi * (3 - np.sqrt(5))
_NEAR = 0.05
"""Squared distance below which nodes push no harder."""
_GRAVITY = 0.02
"""Of the centre: what has no line to the rest does not fly away."""


def lay_out(around: Neighbourhood, kept: Mapping[bytes, Place]) -> Array:
    """Two columns, one row a node; the centre is at the origin. Half a second of one core for 2,500 nodes."""
    places = _sunflower(len(around.ids))
    known = np.array([node_id in kept for node_id in around.ids], bool)
    known[0] = True  # the centre, at the origin
    for number, node_id in enumerate(around.ids):
        if number and known[number]:
            places[number] = kept[node_id]
    settled = int(known.sum())
    if settled <= len(known) // 2:
        known[1:] = False
    else:
        _near_their_neighbours(around, places, known)
    if not known.all():
        _push_and_pull(around, places, ~known, _ROUNDS_OF_NEW if settled > len(known) // 2 else _ROUNDS)
    return places


def _sunflower(count: int) -> Array:
    """Evenly over a disk, the first ones inside."""
    number = np.arange(count)
    radius = 1.6 * np.sqrt(number)
    angle = number * _GOLDEN_ANGLE
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).astype(np.float32)


def _near_their_neighbours(around: Neighbourhood, places: Array, known: Array) -> None:
    """What is new begins beside the middle of its neighbours that have a place."""
    total = np.zeros((len(known), 2))
    count = np.zeros(len(known))
    for here, there in ((around.first, around.second), (around.second, around.first)):
        drawn = ~known[here] & known[there]
        np.add.at(total, here[drawn], places[there[drawn]])
        np.add.at(count, here[drawn], 1)
    beside = np.flatnonzero(count)
    angle = beside * _GOLDEN_ANGLE
    places[beside] = total[beside] / count[beside, None] + np.stack([np.cos(angle), np.sin(angle)], axis=1)


def _push_and_pull(around: Neighbourhood, places: Array, moves: Array, rounds: int) -> None:
    """Change `places` of those that move."""
    count = len(places)
    degree = np.bincount(np.concatenate([around.first, around.second]), minlength=count)
    mass = np.sqrt(1 + degree).astype(np.float32)
    mass[0] *= 2  # room around the centre
    # A node with many lines is not pulled into the middle by all of them.
    pull = (1 / np.sqrt(np.minimum(mass[around.first], mass[around.second])))[:, None].astype(np.float32)
    reach = np.sqrt(count)
    for turn in range(rounds):
        exactly = count <= _MANY or turn >= rounds - _ROUNDS_ONE_BY_ONE
        force = (_pushes if exactly else _pushes_through_grid)(places, mass) - _GRAVITY * mass[:, None] * places
        along = (places[around.second] - places[around.first]) * pull
        for axis in (0, 1):
            force[:, axis] += np.bincount(around.first, along[:, axis], minlength=count)
            force[:, axis] -= np.bincount(around.second, along[:, axis], minlength=count)
        length = np.sqrt((force**2).sum(axis=1)) + 1e-6
        step = np.minimum(length * 0.3 / mass, reach * 0.15 * (1 - turn / rounds) ** 1.5)
        places[moves] += (force * (step / length)[:, None])[moves]


def _pushes(places: Array, mass: Array) -> Array:
    """What all others do to each: mass times mass over distance, summed by two products of matrices."""
    force = np.empty_like(places)
    squares = (places**2).sum(axis=1)
    for start in range(0, len(places), _BLOCK):
        own = slice(start, start + _BLOCK)
        apart = places[own] @ places.T
        apart *= -2
        apart += squares[own, None]
        apart += squares[None, :]
        np.maximum(apart, _NEAR, out=apart)
        np.divide(mass[own, None] * mass[None, :], apart, out=apart)
        force[own] = places[own] * apart.sum(axis=1)[:, None] - apart @ places
    return force


def _pushes_through_grid(places: Array, mass: Array) -> Array:
    """Nearly the same, whatever the number of nodes: masses on a grid, convolved with the push of a single one."""
    low = places.min(axis=0)
    cell = float((places.max(axis=0) - low).max()) / (_GRID - 2) + 1e-6
    at = (places - low) / cell
    corner = at.astype(np.int64)
    part = at - corner
    shares = [
        (dx, dy, (part[:, 0] if dx else 1 - part[:, 0]) * (part[:, 1] if dy else 1 - part[:, 1]))
        for dx in (0, 1)
        for dy in (0, 1)
    ]
    heavy = np.zeros(_GRID * _GRID)
    for dx, dy, share in shares:
        heavy += np.bincount((corner[:, 0] + dx) * _GRID + corner[:, 1] + dy, share * mass, minlength=_GRID * _GRID)
    spread = np.fft.rfft2(heavy.reshape(_GRID, _GRID), (2 * _GRID, 2 * _GRID))
    force = np.zeros_like(places)
    for axis, push in enumerate(_push_of_one()):
        field = np.fft.irfft2(spread * push, (2 * _GRID, 2 * _GRID))[:_GRID, :_GRID]
        for dx, dy, share in shares:
            force[:, axis] += field[corner[:, 0] + dx, corner[:, 1] + dy] * share * mass / cell
    return force


@cache
def _push_of_one() -> tuple[Array, Array]:
    """Along both axes, transformed; distances in cells, wrapped around as the transform has them."""
    steps = np.fft.fftfreq(2 * _GRID, 1 / (2 * _GRID))
    across, down = np.meshgrid(steps, steps, indexing="ij")
    squares = np.maximum(across**2 + down**2, 0.5)
    return np.fft.rfft2(across / squares), np.fft.rfft2(down / squares)
