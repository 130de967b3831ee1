"""Our gossip messages in other hands: pyln-proto's codec writes the same bytes, LDK reads, verifies and writes them."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from core.bolt.gossip import AnnouncementSignatures, ChannelAnnouncement, ChannelUpdate, NodeAnnouncement
from core.bolt.gossip_queries import (
    GossipTimestampFilter,
    QueryChannelRange,
    QueryShortChannelIds,
    ReplyChannelRange,
    ReplyShortChannelIdsEnd,
)
from core.bolt.networks import NETWORKS
from core.bolt.wire import ShortChannelId
from tests.counterparts.ldk import ldk_packages, node_program
from tests.counterparts.pyln_drivers import pyln_python
from tests.support.network import Network, make_network

CHAIN = NETWORKS["regtest"].chain_hash
SCRIPTS = Path(__file__).parents[1] / "counterparts"
DAY_S = 24 * 3600
QUERIES = [
    AnnouncementSignatures(b"\x77" * 32, ShortChannelId(1, 2, 3), b"\x01" * 64, b"\x02" * 64),
    QueryShortChannelIds(CHAIN, (5, 9)),
    QueryShortChannelIds(CHAIN, (5, 9), (31, 1)),
    QueryChannelRange(CHAIN, 1, 2),
    QueryChannelRange(CHAIN, 1, 2, 3),
    ReplyChannelRange(CHAIN, 1, 2, True, ()),
    ReplyChannelRange(CHAIN, 1, 2, False, (5, 9), ((1, 2), (3, 4)), ((5, 6), (7, 0xFFFFFFFF))),
    ReplyShortChannelIdsEnd(CHAIN, True),
    GossipTimestampFilter(CHAIN, 1, 0xFFFFFFFF),
]


def told(program: list[str], lines: list[bytes]) -> list[dict[str, Any]]:
    """What `program` says of each message."""
    text = "".join(f"{line.hex()}\n" for line in lines)
    done = subprocess.run(program, input=text, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def by_pyln(lines: list[bytes]) -> list[dict[str, Any]]:
    return told([str(pyln_python()), "-P", str(SCRIPTS / "pyln_messages.py")], lines)


@pytest.fixture(scope="module")
def network() -> Network:
    """With timestamps that LDK's own clock takes for fresh, and every kind of address."""
    return make_network(5, 150, now_s=int(time.time()) // DAY_S * DAY_S)


def test_pyln_writes_every_message_as_we_do(network: Network) -> None:
    messages = [*network, *(query.encode() for query in QUERIES)]
    for message, answer in zip(messages, by_pyln(messages), strict=True):
        assert answer["hex"] == message.hex(), answer["name"]


def test_pyln_finds_in_announcements_what_we_find(network: Network) -> None:
    messages = list(network)
    decoders = {256: ChannelAnnouncement, 257: NodeAnnouncement, 258: ChannelUpdate}
    for message, answer in zip(messages, by_pyln(messages), strict=True):
        ours: Any = decoders[int.from_bytes(message[:2], "big")].decode(message)
        for name, theirs in answer["fields"].items():
            if name == "addresses":
                mine: Any = b"".join(descriptor.encode() for descriptor in ours.addresses).hex()
            else:
                mine = getattr(ours, name)
                mine = mine.hex() if isinstance(mine, bytes) else str(mine) if name == "short_channel_id" else mine
            assert mine == theirs, name


def test_pyln_finds_in_queries_what_we_say() -> None:
    fields = [answer["fields"] for answer in by_pyln([query.encode() for query in QUERIES])]
    ids = "00" + "0000000000000005" + "0000000000000009"
    assert fields[2]["encoded_short_ids"] == ids
    assert fields[2]["tlvs"] == {"query_flags": {"encoding_type": 0, "encoded_query_flags": "1f01"}}
    assert fields[4]["tlvs"] == {"query_option": {"query_option_flags": 3}}
    reply = fields[6]
    assert (reply["first_blocknum"], reply["number_of_blocks"], reply["sync_complete"]) == (1, 2, 0)
    assert reply["encoded_short_ids"] == ids
    assert reply["tlvs"]["timestamps_tlv"]["encoded_timestamps"] == "00000001000000020000000300000004"
    assert reply["tlvs"]["checksums_tlv"]["checksums"] == [
        {"checksum_node_id_1": 5, "checksum_node_id_2": 6},
        {"checksum_node_id_1": 7, "checksum_node_id_2": 0xFFFFFFFF},
    ]
    assert fields[7]["full_information"] == 1
    assert fields[8]["timestamp_range"] == 0xFFFFFFFF


def by_ldk(lines: list[bytes]) -> list[dict[str, Any]]:
    program = [node_program(), str(SCRIPTS / "ldk_messages.mjs"), "--packages", str(ldk_packages())]
    return told(program, lines)


def flipped(message: bytes) -> bytes:
    """With one bit wrong where nothing but the signature tells: output of a channel, color of a node, base fee."""
    color = 66 + 2 + int.from_bytes(message[66:68], "big") + 4 + 33
    at = {0: 258 + 2 + 32 + 7, 1: color, 2: 125}[message[1]]
    return message[:at] + bytes([message[at] ^ 1]) + message[at + 1 :]


def test_ldk_takes_each_announcement_and_refuses_it_with_a_bit_flipped(network: Network) -> None:
    messages = list(network)
    answers = by_ldk([line for message in messages for line in (flipped(message), message)])
    for message, wrong, right in zip(messages, answers[::2], answers[1::2], strict=True):
        assert right["hex"] == message.hex()
        assert right["taken"]
        assert not wrong["taken"]


def test_ldk_writes_queries_without_records_as_we_do() -> None:
    """It neither keeps nor sends the records of queries."""
    messages = [query.encode() for number, query in enumerate(QUERIES) if number not in (2, 4, 6)]
    assert [answer["hex"] for answer in by_ldk(messages)] == [message.hex() for message in messages]
