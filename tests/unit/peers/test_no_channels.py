"""A node without channels never makes a peer force-close one, whatever the message (BOLT 1, `error` and `warning`)."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from core.bolt.keys import NodeKey
from core.bolt.messages import ALL_CHANNELS, ErrorMessage, WarningMessage
from core.peers.no_channels import types_about_channels
from tests.support.peers import node, until
from tests.support.raw_peer import RawPeer

VECTORS = Path(__file__).parents[2] / "vectors" / "message_types.csv"
CHAIN_HASH = b"\xcc" * 32
CHANNEL_ID = bytes(range(1, 33))
OPENERS = {32: "open_channel", 64: "open_channel2"}


def _types_in_the_tables() -> dict[int, str]:
    """What the vectors call about channels, independent of the code's own table."""
    with VECTORS.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {
        int(row["type"]): row["name"]
        for row in rows
        if not row["spec_ref"].startswith("LND")
        and (row["group"] in ("channel", "commitment") or row["name"] in ("stfu", "announcement_signatures"))
    }


TYPES = _types_in_the_tables()


def test_every_type_about_channels_is_handled() -> None:
    assert types_about_channels() == sorted(TYPES)
    assert {2, 32, 33, 34, 64, 74, 80, 127, 128, 132, 136, 137, 259} <= set(TYPES)


@pytest.mark.parametrize(("type_", "name"), sorted(OPENERS.items()))
async def test_an_offer_to_open_a_channel_gets_an_error_with_its_temporary_id(type_: int, name: str) -> None:
    assert TYPES[type_] == name
    answers = await _answers(type_.to_bytes(2, "big") + CHAIN_HASH + CHANNEL_ID + bytes(200))
    assert [ErrorMessage.decode(answer).channel_id for answer in answers] == [CHANNEL_ID]


@pytest.mark.parametrize(("type_", "name"), sorted(TYPES.items() - OPENERS.items()))
async def test_a_message_about_a_channel_gets_a_warning_and_never_an_error(type_: int, name: str) -> None:
    answers = await _answers(type_.to_bytes(2, "big") + CHANNEL_ID + bytes(200))
    (warning,) = (WarningMessage.decode(answer) for answer in answers)
    assert warning.channel_id == CHANNEL_ID
    assert name in warning.text


@pytest.mark.parametrize(("type_", "name"), sorted(TYPES.items()))
async def test_a_cut_message_about_a_channel_is_no_reason_for_an_error_either(type_: int, name: str) -> None:
    async with node() as a, RawPeer.dialled(NodeKey.generate(), a.node_id, a.host, a.port) as peer:
        await peer.exchange_init()
        await peer.send(type_.to_bytes(2, "big") + bytes(20))
        assert [WarningMessage.decode(answer).channel_id for answer in await peer.receive_all()] == [ALL_CHANNELS]


async def _answers(message: bytes) -> list[bytes]:
    """What comes back, from a connection that stays."""
    async with node() as a, RawPeer.dialled(NodeKey.generate(), a.node_id, a.host, a.port) as peer:
        await peer.exchange_init()
        await until(a.manager.peers)
        await peer.send(message)
        return await peer.pong_after()
