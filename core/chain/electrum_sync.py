"""From a server's claim about its tip to headers that were checked: fetched in pieces, walked back through forks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from core.chain.electrum_link import ElectrumLink
from core.chain.electrum_protocol import LARGEST_CHUNK, TipClaim, read_headers
from core.chain.errors import ServerLied
from core.chain.headers import HeaderRefused
from core.chain.light_headers import HeaderRules, HeaderWindow, window_start

Progress = Callable[[int, int], None]
"""Headers fetched, headers to fetch."""
_HEADERS_A_TURN = 100
"""Checked in one turn of the loop: one to two milliseconds."""
_FIRST_STEP_BACK = 10


@dataclass(frozen=True, slots=True)
class Branch:
    """A chain that a server proved."""

    window: HeaderWindow
    fork_height: int
    """The last height shared with the chain known before; -1 when none was."""


async def fetch_branch(
    link: ElectrumLink,
    claim: TipClaim,
    known: HeaderWindow | None,
    rules: HeaderRules,
    progress: Progress | None = None,
) -> Branch | None:
    """The checked chain that ends in `claim`; None when `claim` is a block of the `known` chain.

    Raises ServerLied for a chain that breaks the rules, or has not the claimed tip; ServerFailed.
    """
    if known is None:
        base = window_start(claim.height)
        branch = Branch(HeaderWindow(rules, base), -1)
        await _append(link, branch.window, await _fetch(link, base, claim.height, progress))
    else:
        same = known.at(claim.height)
        if same is not None and same.raw == claim.header:
            return None
        start, headers = await _walk_back(link, claim, known)
        fork = start - 1
        while fork + 1 - start < len(headers) and _is_at(known, fork + 1, headers[fork + 1 - start]):
            fork += 1
        branch = Branch(known.up_to(fork), fork)
        await _append(link, branch.window, headers[fork + 1 - start :])
        while branch.window.height < claim.height:
            # Each piece is checked before the next is asked for: a claim costs nothing, however high it is.
            window = branch.window.up_to(branch.window.height)
            last = min(claim.height, window.height + LARGEST_CHUNK)
            await _append(link, window, await _fetch(link, window.height + 1, last, None))
            branch = Branch(window, fork)
    if branch.window.tip.raw != claim.header:
        raise _lied(link, f"its tip at height {claim.height} is not in its chain")
    return branch


async def _walk_back(link: ElectrumLink, claim: TipClaim, known: HeaderWindow) -> tuple[int, list[bytes]]:
    """The claimed chain's headers around the fork, and the height of the first, which follows a block of ours.

    They reach the claimed one, or one above our tip where the claimed one is higher.
    """
    top = min(claim.height, known.height + 1)
    step = 1
    headers = [claim.header] if claim.height == top else await _fetch(link, top, top, None)
    start = top
    while not _follows(known, start, headers[0]):
        if start <= known.base:
            raise _lied(link, f"its chain has no block in common with ours from height {known.base} on")
        step = max(_FIRST_STEP_BACK, step * 2)
        lower = max(known.base, start - step)
        headers = await _fetch(link, lower, start - 1, None) + headers
        start = lower
    return start, headers


def _follows(known: HeaderWindow, height: int, header: bytes) -> bool:
    """Whether `header` is the known chain's at `height`, or could stand on its block below."""
    below = known.at(height - 1)
    return _is_at(known, height, header) or (below is not None and header[4:36] == below.hash)


def _is_at(known: HeaderWindow, height: int, header: bytes) -> bool:
    here = known.at(height)
    return here is not None and here.raw == header


async def _fetch(link: ElectrumLink, first: int, last: int, progress: Progress | None) -> list[bytes]:
    headers: list[bytes] = []
    total = last - first + 1
    while len(headers) < total:
        count = min(LARGEST_CHUNK, total - len(headers))
        method, start = "blockchain.block.headers", first + len(headers)
        chunk = await link.ask(read_headers, method, start, count, bounds=(count,))
        if not chunk:
            raise _lied(link, f"it claims height {last} and has no header at {start}")
        headers += chunk
        if progress is not None:
            progress(len(headers), total)
    return headers


async def _append(link: ElectrumLink, window: HeaderWindow, headers: list[bytes]) -> None:
    for start in range(0, len(headers), _HEADERS_A_TURN):
        try:
            window.extend(headers[start : start + _HEADERS_A_TURN])
        except HeaderRefused as error:
            raise _lied(link, str(error)) from None
        await asyncio.sleep(0)


def _lied(link: ElectrumLink, reason: str) -> ServerLied:
    return ServerLied(server=str(link.server), reason=reason)
