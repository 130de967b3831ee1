"""`gossip_store` and `scorer` with any bytes in them: walked, judged and taken into the graph, and nothing is raised.

What a walk found stays found: in pieces of any size it is the same, and once the file is mended it needs no more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import atheris

with atheris.instrument_imports(include=["core"]):
    from core.gossip import scorer, store_format
    from core.gossip.store_index import Audit, StoreIndex
    from core.gossip.store_walk import Walker

from core.bolt.gossip import ChannelAnnouncement, ChannelUpdate, NodeAnnouncement
from core.bolt.networks import NETWORKS
from core.bolt.wire import ShortChannelId
from core.gossip.graph import Graph
from core.gossip.graph_bulk import extend, slices
from core.gossip.graph_loading import batch_of
from core.gossip.liquidity import LiquidityBounds
from tests.fuzz.harness import Source, Surprise, fuzz

CHAIN = NETWORKS["regtest"].chain_hash
NODES = tuple(b"\x02" + bytes([number]) * 32 for number in range(1, 6))
PIECES = 8
HEARD = 1_770_000_000


class Walked(NamedTuple):
    """What a walk found."""

    records: list[tuple[int, int, bytes]]
    """Offset, flags, message."""
    end: int
    walker: Walker


def try_one(data: bytes) -> None:
    """The first byte: a store as it is, a store of sound records with edits, or a scorer."""
    source = Source(data)
    kinds: tuple[Callable[[Source], None], ...] = (_raw_store, _edited_store, _scorer)
    kinds[source.byte() % len(kinds)](source)


def _raw_store(source: Source) -> None:
    size = source.number() + 1
    _store(source.rest(), size)


def _edited_store(source: Source) -> None:
    """Up to so many sound records, then up to so many changed bytes."""
    size = source.number() + 1
    count, edits = source.byte() % 24, source.byte() % 8
    content = bytearray([store_format.CURRENT_VERSION if source.byte() % 8 else source.byte()])
    for _ in range(count):
        flags = store_format.FLAG_COMPLETED | (source.byte() << 8 if source.byte() % 4 == 0 else 0)
        content += store_format.encode_record(_message(source), HEARD + source.byte(), flags)
    for _ in range(edits):
        at = source.number() % len(content)
        content[at] ^= source.byte()
    if source.byte() % 4 == 0:
        del content[source.number() % (len(content) + 1) :]
    _store(bytes(content), size)


def _message(source: Source) -> bytes:
    kind, scid, ends = source.byte() % 9, ShortChannelId(100 + source.byte() % 4, 1, 0), source.byte()
    match kind:
        case 0 | 1:
            keys = (NODES[ends % 5], NODES[(ends >> 4) % 5], NODES[0], NODES[1])
            return ChannelAnnouncement(*(bytes(64),) * 4, b"", CHAIN, scid, *keys).encode()
        case 2 | 3:
            policy = (source.number(), source.byte(), ends & 3, 40, 1, 1000, 10, source.number())
            return ChannelUpdate(bytes(64), CHAIN, scid, *policy).encode()
        case 4:
            return NodeAnnouncement(bytes(64), b"", source.number(), NODES[ends % 5], b"rgb", b"a".ljust(32)).encode()
        case 5:
            return store_format.channel_amount(source.number())
        case 6:
            return store_format.delete_channel(int(scid))
        case 7:
            return store_format.channel_dying(int(scid), source.number())
    return store_format.ended(source.number(), NODES[0][1:])


def _store(content: bytes, size: int) -> None:
    whole, pieces = _walk(content, len(content) or 1), _walk(content, max(size, len(content) // PIECES + 1))
    if (whole.records, whole.end, whole.walker.repairs) != (pieces.records, pieces.end, pieces.walker.repairs):
        raise Surprise(f"{len(whole.records)} records at once, {len(pieces.records)} in pieces")
    if whole.walker.version is None or (whole.walker.version_damaged and not whole.records):
        return
    mended = bytearray(content[: whole.end])
    for repair in whole.walker.repairs:
        mended[repair.offset : repair.offset + len(repair.content)] = repair.content
    again = _walk(bytes(mended), len(mended) or 1)
    if again.records != whole.records or again.walker.repairs or again.walker.problem or again.end != len(mended):
        raise Surprise(f"{len(whole.records)} records, {len(again.records)} once it was mended: {again.walker.problem}")


def _walk(content: bytes, size: int) -> Walked:
    """As the node does at its start."""
    walker, audit, graph = Walker(), Audit(), Graph(CHAIN)
    columns: list[StoreIndex] = []
    records: list[tuple[int, int, bytes]] = []
    for at in [*range(0, len(content), size), len(content)]:
        piece = content[at : at + size]
        batch = walker.feed(piece, last=not piece)
        audit.add(batch)
        columns.append(StoreIndex.of(batch))
        found = zip(batch.offset.tolist(), batch.flags.tolist(), map(batch.message, range(len(batch))), strict=True)
        records.extend(found)
        for part in slices(batch_of(batch)):
            extend(graph, part, heard=HEARD, checked=True)
    index = StoreIndex.joined(columns)
    judged = index.with_marks(audit.verdict(index, all_read=walker.all_read))
    if judged.counts(walker.end).records != len(records):
        raise Surprise("records are counted that were not walked")
    for channel in graph.channels():
        if graph.channel(int(channel.short_channel_id)) != channel:
            raise Surprise(f"{channel} is not found by its id")
    return Walked(records, walker.end, walker)


def _scorer(source: Source) -> None:
    """With a true checksum every second time, or none would be got over."""
    sealed, body = source.byte() % 2, source.rest()
    try:
        entries = scorer.decode(body + scorer._checksum(body) if sealed else body)
    except scorer.ScorerDamaged:
        return
    if scorer.decode(scorer.encode(entries)) != entries:
        raise Surprise("a scorer does not go round")


if __name__ == "__main__":
    learned = scorer.encode({(103 << 40, 1): LiquidityBounds(1, 5000, 7.5)})[:-4]
    version_1 = scorer.MAGIC + b"\0\1" + bytes(4)
    store = bytes([store_format.CURRENT_VERSION]) + store_format.encode_record(store_format.channel_amount(7), HEARD)
    samples = [b"\0\0\x10" + store, b"\0\xff\xff" + store + store[1:-3], b"\2\1" + learned, b"\2\1" + version_1]
    samples += [b"\1\0\x40" + bytes([20, edits]) + bytes(range(256)) for edits in (0, 1, 5)]
    fuzz(try_one, samples)
