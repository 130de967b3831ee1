"""Queries are answered with nothing, so that a peer that waits for the end of the answer has it (BOLT 7)."""

from __future__ import annotations

import struct

import pytest

from core.bolt.keys import NodeKey
from core.bolt.networks import NETWORKS
from core.peers.values import PeerConfig
from tests.support.peers import node
from tests.support.raw_peer import RawPeer

REGTEST = NETWORKS["regtest"].chain_hash
CONFIGS = [PeerConfig(), PeerConfig(offer_gossip_queries=True)]


async def _answers(config: PeerConfig, *messages: bytes) -> list[bytes]:
    async with node(config=config) as a, RawPeer.dialled(NodeKey.generate(), a.node_id, a.host, a.port) as peer:
        await peer.exchange_init()
        await peer.send(*messages)
        return await peer.pong_after()


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("chain", [REGTEST, NETWORKS["bitcoin"].chain_hash])
async def test_a_range_query_is_answered_with_an_incomplete_empty_range(config: PeerConfig, chain: bytes) -> None:
    asked = chain + struct.pack(">II", 100, 5_000)
    answers = await _answers(config, b"\x01\x07" + asked + b"\x01\x01\x03")
    # sync_complete 0, then one byte of ids: the encoding, plain, and none
    assert answers == [b"\x01\x08" + asked + b"\x00" + b"\x00\x01\x00"]


@pytest.mark.parametrize("config", CONFIGS)
async def test_a_query_for_channels_is_ended_without_any(config: PeerConfig) -> None:
    ids = b"\x00" + bytes(16)
    answers = await _answers(config, b"\x01\x05" + REGTEST + struct.pack(">H", len(ids)) + ids)
    assert answers == [b"\x01\x06" + REGTEST + b"\x00"]


@pytest.mark.parametrize("config", CONFIGS)
async def test_a_timestamp_filter_is_accepted_in_silence(config: PeerConfig) -> None:
    assert await _answers(config, b"\x01\x09" + REGTEST + struct.pack(">II", 0, 0xFFFFFFFF)) == []
