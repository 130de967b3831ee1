"""Another node's store comes in as what it says, and stays as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.gossip.store import open_gossip_store
from core.gossip.store_format import channel_amount, delete_channel, encode_record
from core.gossip.store_import import Imported, StoreImport
from core.storage.errors import ProfileUnusable
from tests.unit.gossip.stores import VERSION, announcement, network, node, record, update


async def everything(source: StoreImport) -> list[Imported]:
    return [each async for batch in source.batches() for each in batch]


@pytest.mark.parametrize("version", [14, 16])
async def test_what_lives_comes_in_order_with_the_amounts_that_were_said(tmp_path: Path, version: int) -> None:
    path, records = tmp_path / "gossip_store", network(1, 400)
    content = bytes([version]) + b"".join(encode_record(message, timestamp) for message, timestamp in records)
    path.write_bytes(content)
    told: list[tuple[int, int]] = []
    source = StoreImport(path)
    found = [each async for batch in source.batches(lambda *how_far: told.append(how_far)) for each in batch]
    expected = [
        Imported(message, int.from_bytes(records[number + 1][0][2:], "big") if message[:2] == b"\1\0" else None)
        for number, (message, _) in enumerate(records)
        if message[:2] != channel_amount(0)[:2]
    ]
    assert found == expected
    assert source.left_out is None
    assert told[-1] == (len(content), len(content))
    assert path.read_bytes() == content


async def test_what_was_deleted_or_replaced_does_not_come(tmp_path: Path) -> None:
    path = tmp_path / "gossip_store"
    messages = [announcement(1), channel_amount(7), update(1, 0), announcement(2), channel_amount(8), update(2, 0, 5)]
    messages += [delete_channel(1), update(2, 0, 6), node(1, 7)]
    path.write_bytes(VERSION + b"".join(encode_record(each, number) for number, each in enumerate(messages)))
    assert await everything(StoreImport(path)) == [
        Imported(announcement(2), 8),
        Imported(update(2, 0, 6)),
        Imported(node(1, 7)),
    ]


async def test_the_record_that_the_other_node_is_writing_is_left(tmp_path: Path) -> None:
    path = tmp_path / "gossip_store"
    content = VERSION + encode_record(node(1), 1) + record(258)[:30]
    path.write_bytes(content)
    source = StoreImport(path)
    assert await everything(source) == [Imported(node(1))]
    assert source.left_out == "30 bytes could not be read"
    assert path.read_bytes() == content


async def test_damage_is_told_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "gossip_store"
    bad = bytearray(encode_record(node(2), 1))
    bad[50] ^= 1
    content = VERSION + encode_record(node(1), 1) + bad + encode_record(node(3), 1)
    path.write_bytes(content)
    source = StoreImport(path)
    assert await everything(source) == [Imported(node(1)), Imported(node(3))]
    size = len(encode_record(node(1), 1))
    assert source.left_out == (f"{size} bytes could not be read (record at byte {1 + size}: checksum does not match)")
    assert path.read_bytes() == content


@pytest.mark.parametrize("content", [b"", b"some text", b"\x00"])
async def test_what_is_no_store_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "gossip_store"
    path.write_bytes(content)
    with pytest.raises(ProfileUnusable):
        await everything(StoreImport(path))
    with pytest.raises(ProfileUnusable):
        await everything(StoreImport(tmp_path / "none"))


async def test_our_own_store_can_be_taken_in_elsewhere(tmp_path: Path) -> None:
    store = await open_gossip_store(tmp_path / "gossip_store")
    await store.append([(announcement(1), 5), (channel_amount(9), 0)])
    await store.aclose()
    assert await everything(StoreImport(tmp_path / "gossip_store")) == [Imported(announcement(1), 9)]
