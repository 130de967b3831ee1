"""A network out of nothing: validly signed announcements of any number of channels from a seed.

    network = make_network(seed=1, channels=50_000)

Every signature is right and the same seed and parameters give the same bytes. By default it looks as mainnet did (see
`network_shape`); 50,000 channels take some 12 s once and lie in the system's temporary folder then, until the code that
makes them changes.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import random
import struct
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from coincurve import PrivateKey

import core.bolt.addresses
import core.bolt.gossip
from core.bolt.addresses import DNS, IPV4, IPV6, TORV3, Descriptor
from core.bolt.gossip import ChannelAnnouncement, ChannelUpdate, NodeAnnouncement
from core.bolt.networks import NETWORKS
from core.bolt.networks import Network as Chain
from core.bolt.wire import ShortChannelId
from tests.support import announcements, network_shape
from tests.support.announcements import NO_SIGNATURE, signed, signed_channel

DEFAULT_NOW_S = 1_770_076_800
"""2026-02-03: every timestamp is up to 13 days older. Peers with a clock of their own want one of today."""
_MAX_AGE_S = 13 * 24 * 3600
_FEATURES = tuple(
    bytes.fromhex(text) for text in ("800000000000000000000000080a69a2", "88a0800a8a59a1", "8000000002aaa2", "02aaa2")
)
_WORDS = ("SLEEPY", "IRATE", "WISTFUL", "QUIET", "SATOSHI", "LIGHT", "⚡", "node", "BTC", "ZAP", "Ünïcode", "río")
_HOSTILE = (
    b"<script>alert(1)</script>",
    b"Robert'); DROP TABLE nodes;--",
    b"\xff\xfe not UTF-8 \x80",
    "\u202edesrever".encode(),
    b"line\nbreak\x1b[31mred",
)
_ADDRESS_KINDS = ((TORV3,), (IPV4,), (IPV4, TORV3), (IPV4, IPV6, TORV3), (IPV4, DNS), ())
_ADDRESS_WEIGHTS = (58, 22, 10, 4, 1, 5)


@dataclass(frozen=True)
class Network:
    """Everything as messages, in the order of their channels; updates stand two a channel, direction 0 first."""

    seed: int
    chain: Chain
    channel_announcements: tuple[bytes, ...]
    channel_updates: tuple[bytes, ...]
    node_announcements: tuple[bytes, ...]
    capacities_sat: tuple[int, ...]

    def __iter__(self) -> Iterator[bytes]:
        """As a peer may send it: each channel with its updates, then the nodes."""
        for number, announcement in enumerate(self.channel_announcements):
            yield announcement
            yield from self.channel_updates[2 * number : 2 * number + 2]
        yield from self.node_announcements

    @cached_property
    def signers(self) -> tuple[bytes, ...]:
        """The node id that signed each update."""
        pairs = map(ChannelAnnouncement.decode, self.channel_announcements)
        return tuple(node for pair in pairs for node in (pair.node_id_1, pair.node_id_2))

    @cached_property
    def keys(self) -> dict[bytes, PrivateKey]:
        """The secret of each node by its id."""
        return {key.public_key.format(): key for key in _node_keys(self.seed, len(self.node_announcements))}

    def update(self, channel: int, direction: int, **changes: Any) -> bytes:
        """An update of that direction with `changes`, validly signed."""
        number = 2 * channel + direction
        old = ChannelUpdate.decode(self.channel_updates[number])
        return signed(replace(old, **changes), self.keys[self.signers[number]])


def make_network(
    seed: int,
    channels: int,
    *,
    nodes: int | None = None,
    network: Chain = NETWORKS["regtest"],
    now_s: int = DEFAULT_NOW_S,
    first_block: int = 500_000,
    blocks: int = 430_000,
    disabled_share: float = 0.08,
    scids: Sequence[int] | None = None,
    capacities: Sequence[int] | None = None,
) -> Network:
    """One connected network; every node has an announcement and every channel two updates.

    `nodes` is mainnet's share by default; ValueError when so many cannot be connected. Round `now_s` to the day, or
    nothing is ever found in the cache. `scids` and `capacities` (satoshi) of each channel stand where they are drawn
    otherwise: where real outputs of `funding_keys` are.
    """
    if nodes is None:
        nodes = max(2, round(channels * network_shape.NODES_A_CHANNEL))
    facts: tuple[Any, ...] = (seed, channels, nodes, network.name, now_s, first_block, blocks, disabled_share)
    if scids is not None or capacities is not None:
        facts += (scids and tuple(scids), capacities and tuple(capacities))
    file = _cache_folder() / f"{_digest(facts)}.network"
    if (found := _load(file, seed, network)) is not None:
        return found
    chance = random.Random(repr(facts))
    made = _Maker(chance, seed, network, now_s, disabled_share).make(
        network_shape.links(chance, nodes, channels),
        list(scids) if scids is not None else network_shape.scids(chance, channels, first_block, blocks),
        _node_keys(seed, nodes),
        capacities,
    )
    _save(file, made)
    return made


def funding_keys(seed: int, channel: int) -> tuple[PrivateKey, PrivateKey]:
    """The two that a channel's funding output is locked to, its first node's first."""
    return _key(seed, "funding 1", channel), _key(seed, "funding 2", channel)


def _node_keys(seed: int, count: int) -> list[PrivateKey]:
    return [_key(seed, "node", number) for number in range(count)]


def _key(seed: int, use: str, number: int) -> PrivateKey:
    return PrivateKey(hashlib.sha256(f"leyden test network {seed} {use} {number}".encode()).digest())


class _Maker:
    def __init__(self, chance: random.Random, seed: int, chain: Chain, now_s: int, disabled_share: float) -> None:
        self._chance = chance
        self._seed = seed
        self._chain = chain
        self._now_s = now_s
        self._disabled_share = disabled_share

    def make(
        self,
        links: list[tuple[int, int]],
        scids: list[int],
        keys: list[PrivateKey],
        given: Sequence[int] | None,
    ) -> Network:
        ids = [key.public_key.format() for key in keys]
        capacities = tuple(given or (network_shape.capacity_sat(self._chance) for _ in links))
        channels: list[bytes] = []
        updates: list[bytes] = []
        for number, (ends, value) in enumerate(zip(links, scids, strict=True)):
            one, other = sorted(ends, key=ids.__getitem__)
            scid = ShortChannelId.from_int(value)
            channels.append(self._channel(number, scid, (keys[one], keys[other]), (ids[one], ids[other])))
            for direction, node in enumerate((one, other)):
                updates.append(signed(self._update(scid, direction, capacities[number]), keys[node]))
        nodes = tuple(signed(self._node(node_id), key) for node_id, key in zip(ids, keys, strict=True))
        return Network(self._seed, self._chain, tuple(channels), tuple(updates), nodes, capacities)

    def _channel(
        self, number: int, scid: ShortChannelId, nodes: tuple[PrivateKey, PrivateKey], ids: tuple[bytes, bytes]
    ) -> bytes:
        funding = funding_keys(self._seed, number)
        bare = ChannelAnnouncement(
            *(NO_SIGNATURE,) * 4,
            b"",
            self._chain.chain_hash,
            scid,
            *ids,
            *(key.public_key.format() for key in funding),
        )
        return signed_channel(bare, nodes, funding)

    def _update(self, scid: ShortChannelId, direction: int, capacity_sat: int) -> ChannelUpdate:
        chance = self._chance
        disabled = chance.random() < self._disabled_share
        capacity_msat = capacity_sat * 1000
        maximum = int(capacity_msat * network_shape.weighted(chance, network_shape.MAXIMUM_SHARES))
        return ChannelUpdate(
            signature=NO_SIGNATURE,
            chain_hash=self._chain.chain_hash,
            short_channel_id=scid,
            timestamp=self._timestamp(),
            message_flags=1,
            channel_flags=direction | disabled << 1,
            cltv_expiry_delta=int(network_shape.weighted(chance, network_shape.DELTAS)),
            htlc_minimum_msat=min(maximum, int(network_shape.weighted(chance, network_shape.MINIMUM_MSAT))),
            fee_base_msat=int(network_shape.weighted(chance, network_shape.BASE_MSAT)),
            fee_proportional_millionths=int(network_shape.weighted(chance, network_shape.PPM)),
            htlc_maximum_msat=maximum,
        )

    def _node(self, node_id: bytes) -> NodeAnnouncement:
        chance = self._chance
        kinds = chance.choices(_ADDRESS_KINDS, _ADDRESS_WEIGHTS)[0]
        return NodeAnnouncement(
            signature=NO_SIGNATURE,
            features=chance.choice(_FEATURES),
            timestamp=self._timestamp(),
            node_id=node_id,
            rgb_color=chance.randbytes(3),
            alias=self._alias(node_id),
            addresses=tuple(self._descriptor(kind) for kind in kinds),
        )

    def _timestamp(self) -> int:
        return self._now_s - self._chance.randrange(_MAX_AGE_S)

    def _alias(self, node_id: bytes) -> bytes:
        """32 bytes of UTF-8; in one of a hundred what nobody should print."""
        chance = self._chance
        if chance.random() < 0.01:
            return chance.choice(_HOSTILE)[:32].ljust(32, b"\x00")
        text = "-".join(chance.sample(_WORDS, 2)) if chance.random() < 0.7 else node_id[:10].hex()
        return text.encode()[:32].ljust(32, b"\x00")

    def _descriptor(self, kind: int) -> Descriptor:
        chance = self._chance
        port = chance.choices((9735, chance.randrange(1024, 65_536)), (9, 1))[0].to_bytes(2, "big")
        match kind:
            case 1:
                return Descriptor(IPV4, bytes((chance.randrange(20, 100), *chance.randbytes(3))) + port)
            case 2:
                return Descriptor(IPV6, b"\x20\x01" + chance.randbytes(14) + port)
            case 4:
                key = chance.randbytes(32)
                checksum = hashlib.sha3_256(b".onion checksum" + key + b"\x03").digest()[:2]
                return Descriptor(TORV3, key + checksum + b"\x03" + port)
        name = base64.b32encode(chance.randbytes(5)).lower() + b".example.org"
        return Descriptor(DNS, bytes([len(name)]) + name + port)


@lru_cache(maxsize=1)
def _code_digest() -> bytes:
    """Of everything that decides the bytes of a network."""
    files = (__file__, announcements.__file__, network_shape.__file__, core.bolt.gossip.__file__)
    files += (core.bolt.addresses.__file__,)
    return hashlib.sha256(b"".join(Path(file).read_bytes() for file in files)).digest()


def _digest(facts: tuple[Any, ...]) -> str:
    return hashlib.sha256(_code_digest() + repr(facts).encode()).hexdigest()


def _cache_folder() -> Path:
    """Ours alone: whoever else could write there decided what the tests see."""
    user = os.getuid() if hasattr(os, "getuid") else "user"
    folder = Path(tempfile.gettempdir()) / f"leyden-test-networks-{user}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if hasattr(os, "getuid") and (folder.is_symlink() or folder.stat().st_uid != os.getuid()):
        raise PermissionError(f"{folder} belongs to somebody else")
    return folder


def _save(file: Path, network: Network) -> None:
    """Whole or not at all, whoever else makes the same one at the same time."""
    channels = len(network.capacities_sat)
    parts = [struct.pack(f">I{channels}Q", channels, *network.capacities_sat)]
    for message in (*network.channel_announcements, *network.channel_updates, *network.node_announcements):
        parts += (len(message).to_bytes(2, "big"), message)
    body = b"".join(parts)
    handle, name = tempfile.mkstemp(dir=file.parent)
    try:
        with open(handle, "wb") as out:
            out.write(body + hashlib.sha256(body).digest())
        Path(name).replace(file)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            Path(name).unlink()
        raise


def _load(file: Path, seed: int, chain: Chain) -> Network | None:
    """None when there is none, or none that is whole."""
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        return None
    body, digest = data[:-32], data[-32:]
    if hashlib.sha256(body).digest() != digest:
        return None
    channels = int.from_bytes(body[:4], "big")
    offset = 4 + 8 * channels
    capacities = struct.unpack(f">{channels}Q", body[4:offset])
    messages: list[bytes] = []
    while offset < len(body):
        end = offset + 2 + int.from_bytes(body[offset : offset + 2], "big")
        messages.append(body[offset + 2 : end])
        offset = end
    own, updates = tuple(messages[:channels]), tuple(messages[channels : 3 * channels])
    return Network(seed, chain, own, updates, tuple(messages[3 * channels :]), capacities)
