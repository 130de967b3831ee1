"""Trusted nodes: kept in the profile, in order, each once."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from core.channels.trusted import TrustedNodes
from core.storage.errors import ProfileUnusable

NODES = [bytes([2]) + bytes([number]) * 32 for number in range(4)]


async def test_what_was_added_is_there_after_a_restart_and_what_was_removed_is_not(tmp_path: Path) -> None:
    path = tmp_path / "trusted_nodes"
    nodes = await TrustedNodes.open(path)
    assert nodes.all() == ()
    await asyncio.gather(*(nodes.add(node) for node in (*NODES, NODES[0])))
    await nodes.remove(NODES[1])
    await nodes.remove(NODES[1])
    assert (await TrustedNodes.open(path)).all() == nodes.all() == (NODES[0], NODES[2], NODES[3])
    assert json.loads(path.read_text())[0] == NODES[0].hex()
    assert path.stat().st_mode & 0o777 == 0o600


async def test_what_cannot_be_written_is_not_trusted(tmp_path: Path) -> None:
    nodes = await TrustedNodes.open(tmp_path / "gone" / "trusted_nodes")
    with pytest.raises(ProfileUnusable):
        await nodes.add(NODES[0])
    assert nodes.all() == ()


@pytest.mark.parametrize("text", ["", "{}x", "[1]", '["zz"]', '["02"]', "5", "[" * 100_000])
async def test_a_file_that_is_no_such_list_is_told_and_left(tmp_path: Path, text: str) -> None:
    path = tmp_path / "trusted_nodes"
    path.write_text(text)
    with pytest.raises(ProfileUnusable):
        await TrustedNodes.open(path)
    assert path.read_text() == text
