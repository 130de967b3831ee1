"""`connect ID` by a program that has nothing but the store of another: no book of peers, no DNS seed."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from coincurve import PrivateKey

from core.bolt.address import Address, AddressKind
from core.bolt.addresses import Descriptor
from core.bolt.gossip import ChannelAnnouncement, ChannelUpdate, NodeAnnouncement
from core.bolt.keys import NodeKey
from core.bolt.wire import ShortChannelId
from tests.acceptance.gossip_listed import listed, until_true
from tests.acceptance.gossip_part import TODAY, UNASKED, Part
from tests.acceptance.program import InstalledLeyden
from tests.counterparts import PylnPeer
from tests.support.announcements import signed, signed_channel
from tests.support.network import Network, make_network
from tests.support.raw_peer import RawPeer

_HEARD_S = 20.0
_FUNDING = (PrivateKey(b"\x51" * 32), PrivateKey(b"\x52" * 32))


async def connects(folder: Path, count: int, seed: int) -> Part:
    """`count` peers by pyln-proto, each announced to a program that stops; a fresh one dials each by its id."""
    bad: list[str] = []
    keys = [PrivateKey(bytes([number + 1]) * 32) for number in range(count)]
    peers = [await PylnPeer.start(folder / f"peer{number}", "--key", key.to_hex()) for number, key in enumerate(keys)]
    try:
        store = await _heard(folder / "first", list(zip(peers, keys, strict=True)), seed)
        fresh = folder / "fresh"
        profile = fresh / "data" / "regtest"
        profile.mkdir(mode=0o700, parents=True)
        shutil.copy(store, profile / "gossip_store")
        async with await InstalledLeyden.start(fresh, *UNASKED) as leyden:
            if await leyden.call("listpeers") != {"peers": []}:
                bad.append("the fresh program knows a peer")
            for peer in peers:
                bad += await _connected(leyden, peer)
    finally:
        for peer in peers:
            await peer.stop()
    facts = {"peers": count, "the fresh profile held": "gossip_store alone", "dialled with": "leyden-cli connect ID"}
    return Part("connect", f"python -m tests.acceptance.gossip_store connect --seed {seed}", facts, bad)


async def _heard(folder: Path, known: list[tuple[PylnPeer, PrivateKey]], seed: int) -> Path:
    """The store of a program that was told of these peers, and has stopped."""
    network = make_network(seed, 20, now_s=TODAY)
    messages = [message for peer, key in known for message in _announced(peer, key, network)]
    async with await InstalledLeyden.start(folder, *UNASKED) as leyden:
        async with RawPeer.dialled(NodeKey.generate(), leyden.node_id, "127.0.0.1", leyden.port) as teller:
            await teller.exchange_init()
            await teller.send(*messages)

            async def has_all() -> bool:
                nodes = (await listed(leyden)).nodes
                return all(peer.node_id.hex() in nodes for peer, _ in known)

            await until_true(has_all, _HEARD_S)
        await leyden.stop()
        return leyden.data_dir / "regtest" / "gossip_store"


def _announced(peer: PylnPeer, key: PrivateKey, network: Network) -> list[bytes]:
    """A channel of that peer with a node of the network, its update, and where the peer says that it is."""
    ends = sorted([(peer.node_id, key), next(iter(network.keys.items()))], key=lambda end: end[0])
    scid = ShortChannelId.from_int(500_000 << 40 | peer.port << 16)
    channel = replace(
        ChannelAnnouncement.decode(network.channel_announcements[0]),
        short_channel_id=scid,
        node_id_1=ends[0][0],
        node_id_2=ends[1][0],
        bitcoin_key_1=_FUNDING[0].public_key.format(),
        bitcoin_key_2=_FUNDING[1].public_key.format(),
    )
    update = ChannelUpdate.decode(network.channel_updates[0])
    update = replace(update, short_channel_id=scid, channel_flags=0)
    where = Descriptor.of(Address(AddressKind.IPV4, "127.0.0.1", peer.port))
    node = replace(NodeAnnouncement.decode(network.node_announcements[0]), node_id=peer.node_id, addresses=(where,))
    return [signed_channel(channel, (ends[0][1], ends[1][1]), _FUNDING), signed(update, ends[0][1]), signed(node, key)]


async def _connected(leyden: InstalledLeyden, peer: PylnPeer) -> list[str]:
    code, said = await leyden.cli("connect", peer.node_id.hex())
    where = {"type": "ipv4", "address": "127.0.0.1", "port": peer.port}
    if code or said.get("id") != peer.node_id.hex() or said.get("address") != where:
        return [f"connect {peer.node_id.hex()} gave {code}: {said}"]
    shaken = await peer.wait_for(event="handshake")
    return [] if shaken["node_id"] == leyden.node_id.hex() else [f"the peer shook hands with {shaken}"]
