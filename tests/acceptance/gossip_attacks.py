"""What hostile peers do to a node with gossip, each with what the node must come to: all of it seen from outside."""

from __future__ import annotations

import asyncio
import contextlib
import random
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from coincurve import PrivateKey

from core.bolt.features import LEYDEN_FEATURES
from core.bolt.gossip import ChannelAnnouncement, NodeAnnouncement
from core.bolt.gossip_queries import QueryChannelRange, QueryShortChannelIds, ReplyChannelRange
from core.bolt.keys import NodeKey
from core.bolt.networks import NETWORKS
from core.bolt.wire import ShortChannelId
from core.gossip import limits
from core.peers.limits import Limits
from tests.acceptance import gossip_naive as naive
from tests.acceptance.gossip_listed import listed
from tests.acceptance.gossip_part import TODAY
from tests.acceptance.program import InstalledLeyden
from tests.support.announcements import signed_channel
from tests.support.network import make_network
from tests.support.raw_peer import RawPeer, regtest_init

CHAIN = NETWORKS["regtest"].chain_hash
SMALL_NETWORK = 20
_WARNING = b"\x00\x01"
_PONG_BYTES = 9
_PONG = struct.pack(">HH", 19, _PONG_BYTES) + bytes(_PONG_BYTES)
_AT_ONCE = 64
_HEARD_S = 600.0
"""For the largest number of signatures on a busy machine; a small one is over long before."""
_REFUSED_S = _ANSWER_S = 20.0
_LOOK_S = 0.2
_QUERIES = (QueryShortChannelIds.TYPE, QueryChannelRange.TYPE)
_QUERYING_PEERS = 4
_IDS = 8_000
"""As many as one message holds."""

Found = tuple[dict[str, Any], list[str]]
"""What it came to, and what of it should not be."""


async def forged(leyden: InstalledLeyden, size: int, seed: int) -> Found:
    """Records that are wrong beyond doubt, each from a peer of its own: a warning, and the connection ends."""
    network = make_network(seed, SMALL_NETWORK, now_s=TODAY)
    chance = random.Random(seed)
    before = await listed(leyden)
    for round_ in range(size):
        announcement = network.channel_announcements[round_ % SMALL_NETWORK]
        node = next(iter(network.node_announcements))
        wrong = {
            f"signature {number} of a channel": [_flipped(announcement, 2 + 64 * number + chance.randrange(1, 64))]
            for number in range(4)
        }
        wrong["node ids in the wrong order"] = [_unsorted(network.keys, announcement)]
        wrong["a channel cut short"] = [announcement[: chance.randrange(3, 400)]]
        wrong["a node cut short"] = [node[: chance.randrange(3, 100)]]
        for what, messages in wrong.items():
            if problem := await _refused(leyden, messages):
                return {"peers that told something forged": 7 * round_}, [f"{what}: {problem}"]
    bad = [] if await listed(leyden) == before else ["something forged is listed"]
    return {"peers that told something forged": 7 * size}, bad


async def foreign(leyden: InstalledLeyden, size: int, seed: int) -> Found:
    """Another chain's network, and questions about it: passed over, nothing known, nobody blamed."""
    network = make_network(seed, size, network=NETWORKS["bitcoin"], now_s=TODAY)
    before = await listed(leyden)
    bad = []
    other = NETWORKS["bitcoin"].chain_hash
    async with _peer(leyden) as peer:
        for messages in _pieces(iter(network)):
            await peer.send(*messages)
        await peer.send(QueryChannelRange(other, 0, 0xFFFFFFFF).encode(), QueryShortChannelIds(other, (1,)).encode())
        said = await _until(peer, 262)
        ranges = [ReplyChannelRange.decode(message) for message in said if _kind(message) == 264]
        if not ranges or ranges[-1].short_channel_ids or ranges[-1].sync_complete or said[-1][-1]:
            bad.append("it says that it knows of another chain")
        await _pong_after(peer)
    if await listed(leyden) != before:
        bad.append("another chain's network is listed")
    return {"channels of another chain": size}, bad


async def unknown_nodes(leyden: InstalledLeyden, size: int, seed: int) -> Found:
    """Announcements of nodes without a channel: dropped before anybody looks at a signature."""
    chance = random.Random(seed)
    template = NodeAnnouncement.decode(make_network(seed, SMALL_NETWORK, now_s=TODAY).node_announcements[0])
    before = await listed(leyden)
    messages = (replace(template, node_id=b"\x02" + chance.randbytes(32)).encode() for _ in range(size))
    async with _peer(leyden) as peer:
        for piece in _pieces(messages):
            await peer.send(*piece)
        await _pong_after(peer)
    return {"nodes": size}, [] if await listed(leyden) == before else ["unknown nodes are listed"]


async def made_up(leyden: InstalledLeyden, size: int, seed: int, cap: int = limits.UNCHECKED_A_PEER) -> Found:
    """Channels out of nothing from one peer, each validly signed: taken up to the cap, and no further.

    Where the cap is met the batch under way is taken as a whole.
    """
    before = _announced(leyden)
    wanted = min(size, cap)
    bad = []
    async with _peer(leyden) as peer:
        draining = asyncio.create_task(_drained(peer))
        for piece in _pieces(_channels(seed, size)):
            async with asyncio.timeout(_HEARD_S):
                peer.writer.write(b"".join(peer.noise.seal(message) for message in piece))
                await peer.writer.drain()
        try:
            async with asyncio.timeout(_HEARD_S):
                while _announced(leyden) - before < wanted:
                    await asyncio.sleep(_LOOK_S)
        except TimeoutError:
            bad.append(f"{_announced(leyden) - before} channels were taken, {wanted} would be right")
        finally:
            draining.cancel()
            await asyncio.wait([draining])
    async with _peer(leyden) as another:  # what came before it is in the graph, or never will be
        await _pong_after(another)
    if _announced(leyden) - before >= cap + limits.BATCH_TO_VERIFY:
        bad.append(f"{_announced(leyden) - before} channels of one peer, the cap is {cap}")
    return {"channels made up": size, "taken": _announced(leyden) - before, "cap": cap}, bad


async def queries(leyden: InstalledLeyden, size: int, seed: int) -> Found:
    """So many questions at once from several peers: answered or passed over with a warning, and none is cut off."""
    ids = tuple(sorted(random.Random(seed).sample(range(2**40), _IDS)))
    wide, many = QueryChannelRange(CHAIN, 0, 0xFFFFFFFF, 3).encode(), QueryShortChannelIds(CHAIN, ids).encode()
    found = await asyncio.gather(*(_ask(leyden, size, (wide, many)) for _ in range(_QUERYING_PEERS)))
    warned, answered = (sum(each[place] for each in found) for place in (0, 1))
    bad = [] if answered else ["nothing was answered"]
    bad += [] if warned or size < 2 * limits.QUERIES_WAITING else ["nobody was warned"]
    return {"questions": 2 * size * _QUERYING_PEERS, "answers": answered, "warnings": warned}, bad


async def zlib(leyden: InstalledLeyden, size: int, seed: int) -> Found:
    """Lists in the encoding that was taken out of BOLT 7: each question is warned of, and the connection goes on."""
    body = b"\x01" + random.Random(seed).randbytes(64)
    query = struct.pack(">H", QueryShortChannelIds.TYPE) + CHAIN + struct.pack(">H", len(body)) + body
    reply = struct.pack(">H", ReplyChannelRange.TYPE) + CHAIN + struct.pack(">IIBH", 0, 1, 1, len(body)) + body
    async with _peer(leyden) as peer:
        await peer.send(*(query, reply) * size)
        said = await _pong_after(peer)
    warned = sum(message[:2] == _WARNING for message in said)
    wanted = min(size, int(Limits().queries_burst))  # of more questions at once the rest is passed over
    return {"lists": 2 * size, "warnings": warned}, [] if warned >= wanted else [f"{warned} of {wanted} warned of"]


async def replies(leyden: InstalledLeyden, size: int, seed: int) -> Found:
    """Answers that nobody asked for, of whole lists: nothing is asked on them."""
    chance = random.Random(seed)
    ids = tuple(sorted(chance.sample(range(2**40, 2**45), _IDS)))
    reply = ReplyChannelRange(CHAIN, 0, 0xFFFFFFFF, False, ids).encode()
    async with _peer(leyden, queries=False) as peer:
        for _ in range(size):
            await peer.send(reply, struct.pack(">H", 262) + CHAIN + b"\x01")
        said = await _pong_after(peer)
    asked = sum(_kind(message) in _QUERIES for message in said)
    return {"answers without a question": 2 * size, "ids": size * _IDS}, [f"it asked {asked} times"] if asked else []


@asynccontextmanager
async def _peer(leyden: InstalledLeyden, *, queries: bool = True) -> AsyncIterator[RawPeer]:
    features = int.from_bytes(LEYDEN_FEATURES, "big") & ~(0 if queries else 0b11 << 6 | 0b11 << 10)
    async with RawPeer.dialled(NodeKey.generate(), leyden.node_id, "127.0.0.1", leyden.port) as peer:
        await peer.exchange_init(regtest_init(features.to_bytes(len(LEYDEN_FEATURES), "big")))
        yield peer


async def _refused(leyden: InstalledLeyden, messages: list[bytes]) -> str:
    """What is missing of a warning and the end."""
    said: list[bytes] = []
    async with _peer(leyden) as peer:
        await peer.send(*messages)
        try:
            async with asyncio.timeout(_REFUSED_S):
                while (message := await _patiently(peer)) is not None:
                    said.append(message)
        except TimeoutError:
            return "the connection stays"
    return "" if any(message[:2] == _WARNING for message in said) else "no warning came"


async def _patiently(peer: RawPeer) -> bytes | None:
    """The next message, however long it takes; None at the end."""
    while True:
        with contextlib.suppress(TimeoutError):
            return await peer.receive()


async def _ask(leyden: InstalledLeyden, size: int, questions: tuple[bytes, ...]) -> tuple[int, int]:
    """Warnings and answers."""
    async with _peer(leyden) as peer:
        for _ in range(size):
            await peer.send(*questions)
        said = await _pong_after(peer)
        if not any(_kind(message) in (262, 264) for message in said):
            said += await _until(peer, 264)
    return sum(message[:2] == _WARNING for message in said), sum(_kind(message) in (262, 264) for message in said)


async def _pong_after(peer: RawPeer) -> list[bytes]:
    """What it says until it has read all that came before: who sends much is read at a limited pace."""
    await peer.send(struct.pack(">HHH", 18, _PONG_BYTES, 0))
    found: list[bytes] = []
    async with asyncio.timeout(_HEARD_S):
        while not found or found[-1] != _PONG:
            message = await _patiently(peer)
            assert message is not None, f"closed after {found[-3:]!r}"
            found.append(message)
    return found[:-1]


async def _until(peer: RawPeer, last: int) -> list[bytes]:
    """All that comes up to a message of that type."""
    found: list[bytes] = []
    async with asyncio.timeout(_ANSWER_S):
        while not found or _kind(found[-1]) != last:
            message = await _patiently(peer)
            assert message is not None, f"closed after {found[-3:]!r}"
            found.append(message)
    return found


async def _drained(peer: RawPeer) -> None:
    with contextlib.suppress(OSError):
        while await peer.reader.read(1 << 16):
            pass


def _channels(seed: int, count: int) -> Iterator[bytes]:
    """Between two nodes; they cost their maker four signatures each."""
    template = ChannelAnnouncement.decode(make_network(seed, SMALL_NETWORK, now_s=TODAY).channel_announcements[0])
    keys = sorted((PrivateKey(random.Random(seed + place).randbytes(32)) for place in range(2)), key=_public)
    ends = {"node_id_1": _public(keys[0]), "node_id_2": _public(keys[1])}
    bitcoin = {"bitcoin_key_1": _public(keys[0]), "bitcoin_key_2": _public(keys[1])}
    for number in range(count):
        scid = ShortChannelId.from_int((600_000 + number // 1000) << 40 | (number % 1000) << 16)
        yield signed_channel(
            replace(template, short_channel_id=scid, **ends, **bitcoin), (keys[0], keys[1]), (keys[0], keys[1])
        )


def _public(key: PrivateKey) -> bytes:
    found: bytes = key.public_key.format()
    return found


def _unsorted(keys: dict[bytes, PrivateKey], message: bytes) -> bytes:
    """The same channel, signed as it should be, but with the larger id first."""
    channel = ChannelAnnouncement.decode(message)
    ends = channel.node_id_2, channel.node_id_1
    funding = (PrivateKey(b"\x51" * 32), PrivateKey(b"\x52" * 32))
    turned = replace(
        channel,
        node_id_1=ends[0],
        node_id_2=ends[1],
        bitcoin_key_1=_public(funding[0]),
        bitcoin_key_2=_public(funding[1]),
    )
    return signed_channel(turned, (keys[ends[0]], keys[ends[1]]), funding)


def _flipped(message: bytes, place: int) -> bytes:
    return message[:place] + bytes([message[place] ^ 1]) + message[place + 1 :]


def _pieces(messages: Iterator[bytes]) -> Iterator[list[bytes]]:
    piece: list[bytes] = []
    for message in messages:
        piece.append(message)
        if len(piece) == _AT_ONCE:
            yield piece
            piece = []
    if piece:
        yield piece


def _announced(leyden: InstalledLeyden) -> int:
    """Announcements of channels in its store."""
    path = leyden.data_dir / "regtest" / "gossip_store"
    found = naive.records(path.read_bytes()) if path.exists() else []
    return sum(raw.kind == naive.CHANNEL and raw.lives for raw in found)


def _kind(message: bytes) -> int:
    return message[0] << 8 | message[1]
