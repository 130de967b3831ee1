"""The codecs of core.bolt, and who reads gossip without them: bytes are read, or refused as they say, and go round."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import atheris

with atheris.instrument_imports(include=["core"]):
    from core.bolt import address, addresses, features, gossip, gossip_queries, messages, wire
    from core.bolt.networks import NETWORKS
    from core.gossip import verify_frames

from tests.fuzz.harness import Source, Surprise, fuzz

KINDS = (
    messages.Init,
    messages.ErrorMessage,
    messages.WarningMessage,
    messages.Ping,
    messages.Pong,
    messages.PeerStorage,
    messages.PeerStorageRetrieval,
    gossip.ChannelAnnouncement,
    gossip.NodeAnnouncement,
    gossip.ChannelUpdate,
    gossip.AnnouncementSignatures,
    gossip_queries.QueryShortChannelIds,
    gossip_queries.ReplyShortChannelIdsEnd,
    gossip_queries.QueryChannelRange,
    gossip_queries.ReplyChannelRange,
    gossip_queries.GossipTimestampFilter,
)


def _same(first: object, second: object) -> None:
    if first != second:
        raise Surprise(f"{first!r} became {second!r}")


def _message(data: bytes) -> None:
    kind = KINDS[data[0] % len(KINDS)] if data else KINDS[0]
    decoded = kind.decode(kind.TYPE.to_bytes(2, "big") + data[1:])
    _same(kind.decode(decoded.encode()), decoded)


def _tlv(data: bytes) -> None:
    records = wire.parse_tlv_stream(data, range(0, 1 << 64, 2))
    _same(wire.encode_tlv_stream(records), data)


def _foreign_tlv(data: bytes) -> None:
    if any(type_ % 2 == 0 for type_ in wire.parse_tlv_stream(data)):
        raise Surprise("an even record passed")


def _bigsize(data: bytes) -> None:
    value, end = wire.decode_bigsize(data)
    _same(wire.encode_bigsize(value), data[:end])


def _truncated(data: bytes) -> None:
    _same(wire.encode_truncated(wire.decode_truncated(data, 8), 8), data)


def _signed(data: bytes) -> None:
    _same(wire.encode_signed(wire.decode_signed(data)), data)


def _short_channel_id(data: bytes) -> None:
    scid = wire.ShortChannelId.parse(data.decode("utf-8", "replace"))
    _same(wire.ShortChannelId.parse(str(scid)), scid)
    _same(wire.ShortChannelId.from_int(int(scid)), scid)


def _features(data: bytes) -> None:
    _same(features.from_bits(features.bits(data)), data.lstrip(b"\0"))
    refused = features.unacceptable_bit(data, features.LEYDEN_FEATURES)
    if refused is not None and (refused % 2 or refused not in features.bits(data)):
        raise Surprise(f"bit {refused} is no reason to refuse")
    features.missing_dependency(data)


def _address(data: bytes) -> None:
    host, port = address.split_host_port(data.decode("utf-8", "replace"))
    found = address.parse_literal(host, port or 9735)
    address.is_dns_name(host)
    if found is not None and found.kind is not address.AddressKind.LOCAL:
        host, port = address.split_host_port(str(found))
        _same(address.parse_literal(host, port or 0), found)


def _node_id(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    _same(address.parse_node_id(text).hex(), text.lower())


def _descriptors(data: bytes) -> None:
    found = addresses.decode_descriptors(data)
    _same(addresses.encode_descriptors(found), data)
    addresses.may_be_forwarded(found)
    for usable in addresses.usable(found):
        _same(addresses.usable([addresses.Descriptor.of(usable)]), (usable,))


def _announced_node(data: bytes) -> None:
    """What is asked of an announcement once it is decoded."""
    type_ = gossip.NodeAnnouncement.TYPE.to_bytes(2, "big")
    node = gossip.NodeAnnouncement.decode(type_ + data)
    if node.may_be_forwarded and len(node.usable_addresses) > len(node.addresses):
        raise Surprise("more addresses than descriptors")


def _signed_part(data: bytes) -> None:
    """The worker reads of a message what the codec reads, and of its own frame what was put in."""
    message = (256 + data[0] % 4).to_bytes(2, "big") + data[1:] if data else data
    signer = b"\x02" * 33 if message[:2] == gossip.ChannelUpdate.TYPE.to_bytes(2, "big") else None
    record = message if signer is None else verify_frames.SignedBy(message, signer)
    [(count, frame)] = verify_frames.frames([record])
    [framed] = verify_frames.parts(frame[verify_frames.LENGTH.size :])
    try:
        part = gossip.signed_part(message, signer)
    except (wire.WireError, ValueError):
        part = None
    _same((count, framed), (1, part))
    if part is not None and message[:2] == gossip.ChannelAnnouncement.TYPE.to_bytes(2, "big"):
        decoded = gossip.ChannelAnnouncement.decode(message)
        keys = (decoded.node_id_1, decoded.node_id_2, decoded.bitcoin_key_1, decoded.bitcoin_key_2)
        _same(tuple(key for _signature, key in part.checks), keys)


def _update_checksum(data: bytes) -> None:
    update = gossip.ChannelUpdate.decode(gossip.ChannelUpdate.TYPE.to_bytes(2, "big") + data)
    later = replace(update, timestamp=update.timestamp ^ 1, signature=bytes(64))
    _same(gossip.update_checksum(later.encode()), gossip.update_checksum(update.encode()))


READERS: tuple[tuple[Callable[[bytes], None], type[Exception]], ...] = (
    (_message, wire.WireError),
    (_tlv, wire.WireError),
    (_foreign_tlv, wire.WireError),
    (_bigsize, wire.WireError),
    (_truncated, wire.WireError),
    (_signed, wire.WireError),
    (_short_channel_id, wire.WireError),
    (_features, wire.WireError),
    (_address, address.AddressError),
    (_node_id, address.NodeIdError),
    (_descriptors, wire.WireError),
    (_announced_node, wire.WireError),
    (_signed_part, wire.WireError),
    (_update_checksum, wire.WireError),
)


def try_one(data: bytes) -> None:
    """The first byte chooses the codec."""
    source = Source(data)
    reader, refusal = READERS[source.byte() % len(READERS)]
    try:
        reader(source.rest())
    except refusal:
        return


if __name__ == "__main__":
    init = messages.Init(
        b"\x11\x00",
        features.LEYDEN_FEATURES,
        (NETWORKS["regtest"].chain_hash,),
        address.Address(address.AddressKind.IPV6, "2001:db8::1", 9735),
    )
    samples = [bytes(2) + init.encode()[2:], b"\x01\xfd\x00\xfd\x02ab", b"\x03\xfe\x00\x01\x00\x00", b"\x04\x01\x02"]
    samples += [b"\x05\xff\x00", b"\x06539268x845x1", b"\x07" + features.LEYDEN_FEATURES, b"\x08[::1]:9735"]
    samples += [b"\x08127.0.0.1:1", b"\x08" + b"a" * 56 + b".onion", b"\x09" + (b"02" + b"79be667ef9dcbbac" * 4)]
    samples += [bytes([0, 1]) + bytes(32) + b"\x00\x02no", b"\x00\x03\x00\x07\x00\x01a"]
    channel = bytes(4 * 64) + b"\0\1\x01" + NETWORKS["regtest"].chain_hash + bytes(8) + (b"\x02" + bytes(32)) * 4
    node = bytes(64) + b"\0\0" + bytes(4) + b"\x02" + bytes(32) + bytes(35) + b"\0\7\x01" + b"\x01" * 6
    samples += [b"\x0a\x01\x7f\0\0\1\x26\x07", b"\x0a\x05\x02ab\x26\x07", b"\x0a\0\x01\x02", b"\x0b" + node]
    samples += [b"\x0c\0" + channel, b"\x0c\1" + node, b"\x0c\2" + bytes(128), b"\x0d" + bytes(128)]
    fuzz(try_one, samples)
