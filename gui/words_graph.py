"""Words of the graph page: counts, freshness, what a line means, and what to do where there is nothing to see."""

from __future__ import annotations

from itertools import pairwise

from gui.graph.neighbourhood import CLASSES_SAT, Counts, Neighbourhood, Standing
from gui.phrases import tr
from gui.times import ago

_SAT_A_BTC = 100_000_000


def sats(amount: int) -> str:
    """`20k sat`, `1.5M sat`, `12.3 BTC`: three figures, and all of a thousand coins and more."""
    if amount >= _SAT_A_BTC:
        btc = amount / _SAT_A_BTC
        return tr("{n} BTC", n=f"{btc:.3g}" if btc < 1000 else f"{btc:,.0f}")
    if amount >= 1_000_000:
        return tr("{n}M sat", n=f"{amount / 1_000_000:.3g}")
    if amount >= 1_000:
        return tr("{n}k sat", n=f"{amount / 1_000:.3g}")
    return tr("{n} sat", n=amount)


def counts_words(counts: Counts) -> str:
    """One line about the whole graph. What nobody checked is told apart, and adds nothing to the capacity."""
    parts = [
        tr("{n} nodes", n=f"{counts.nodes:,}"),
        tr("{n} channels", n=f"{counts.channels:,}"),
        tr("{n} checked on the chain", n=f"{counts.checked:,}"),
    ]
    if counts.unchecked:
        parts.append(tr("{n} unchecked", n=f"{counts.unchecked:,}"))
    if counts.overlay:
        parts.append(tr("{n} from an unsigned snapshot", n=f"{counts.overlay:,}"))
    if counts.dying:
        parts.append(tr("{n} closing", n=f"{counts.dying:,}"))
    if counts.capacity_sat:
        parts.append(tr("{capacity} in checked channels", capacity=sats(counts.capacity_sat)))
    return "  ·  ".join(parts)


def freshness_words(counts: Counts, now: float) -> str:
    """How old the newest update is; a stamp of the future is as good as now."""
    if not counts.newest:
        return tr("no update heard yet")
    return tr("newest update {ago} ago", ago=ago(max(1.0, now - counts.newest)))


def left_out_words(around: Neighbourhood) -> str:
    """What the picture does not show; empty when it shows all of the neighbourhood."""
    nodes, lines = around.nodes_left_out, around.lines_left_out
    if nodes and lines:
        return tr("{n} smaller nodes and {m} smaller channels not drawn", n=f"{nodes:,}", m=f"{lines:,}")
    if nodes:
        return tr("{n} smaller nodes not drawn", n=f"{nodes:,}")
    return tr("{m} smaller channels not drawn", m=f"{lines:,}") if lines else ""


def class_words() -> tuple[str, ...]:
    """Each class of capacity, the smallest first."""
    middle = tuple(tr("{low} to {high}", low=sats(low), high=sats(high)) for low, high in pairwise(CLASSES_SAT))
    return (
        tr("below {high}", high=sats(CLASSES_SAT[0])),
        *middle,
        tr("from {low}", low=sats(CLASSES_SAT[-1])),
    )


def standing_words(standing: Standing) -> str:
    """What stands behind a line, for the legend."""
    return {
        Standing.CONNECTION: tr("connected, no channel"),
        Standing.OVERLAY: tr("unsigned snapshot"),
        Standing.UNCHECKED: tr("not checked on the chain"),
        Standing.CHECKED: tr("checked on the chain"),
    }[standing]
