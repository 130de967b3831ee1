"""The embedded chain: kept, checked, reorganised."""

from __future__ import annotations

import asyncio
import random
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.base.events import Event, EventBus
from core.chain.errors import ChainDamaged, ChainUnavailable
from core.chain.headers import double_sha256
from core.chain.regtest import RECORD_BYTES, RegtestChain
from core.chain.source import ChainReorganised, TipChanged
from core.chain.transactions import TransactionRefused, coinbase, merkle_root, txid
from core.storage.errors import ProfileUnusable
from tests.support.clock import ManualClock
from tests.unit.storage.children import run_until_byte


async def chain_at(path: Path | None, bus: EventBus | None = None) -> RegtestChain:
    return await RegtestChain.open(path, bus or EventBus(), ManualClock())


async def make(path: Path, blocks: int) -> bytes:
    """A chain file of that many blocks."""
    chain = await chain_at(path)
    await chain.mine(blocks)
    await chain.aclose()
    return path.read_bytes()


async def test_a_new_chain_begins_at_the_genesis_block() -> None:
    chain = await chain_at(None)
    tip = await chain.tip()
    assert (tip.height, tip.block_hash, tip.time) == (0, chain.network.chain_hash, 1296688602)
    assert double_sha256(await chain.header(0)) == chain.network.chain_hash


async def test_mined_blocks_are_there_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "regtest-chain"
    chain = await chain_at(path)
    tip = await chain.mine(250)
    headers = [await chain.header(height) for height in range(251)]
    again = await chain_at(path)
    assert await again.tip() == tip
    assert [await again.header(height) for height in range(251)] == headers


async def test_a_chain_in_memory_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    await (await chain_at(None)).mine(3)
    assert list(tmp_path.iterdir()) == []


async def test_each_new_block_is_told_and_a_reorganisation_before_it() -> None:
    bus, told = EventBus(), list[Event]()
    bus.subscribe(TipChanged, told.append)
    bus.subscribe(ChainReorganised, told.append)
    chain = await chain_at(None, bus)
    old = await chain.mine(5)
    assert [event.tip.height for event in told if isinstance(event, TipChanged)] == [1, 2, 3, 4, 5]
    told.clear()
    assert await chain.mine(2, on=3) == old, "no more blocks than there are: the first seen stays"
    assert told == []
    new = await chain.mine(3, on=3)
    assert told == [ChainReorganised(3, old), TipChanged(new)]


async def test_a_reorganised_chain_is_the_same_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "regtest-chain"
    chain = await chain_at(path)
    await chain.mine(10)
    tip = await chain.mine(8, on=4)
    assert tip.height == 12
    assert await (await chain_at(path)).tip() == tip


async def test_the_next_block_commits_to_what_was_broadcast() -> None:
    chain = await chain_at(None)
    sent = coinbase(99, 0)
    assert await chain.broadcast(sent) == txid(sent)
    await chain.broadcast(sent)
    await chain.mine(2)
    roots = [(await chain.header(height))[36:68] for height in (1, 2)]
    assert roots == [merkle_root([txid(coinbase(1, 1)), txid(sent)]), txid(coinbase(2, 2))]
    with pytest.raises(TransactionRefused):
        await chain.broadcast(b"no transaction")


async def test_a_height_above_the_tip_has_no_header() -> None:
    chain = await chain_at(None)
    for height in (-1, 1):
        with pytest.raises(ChainUnavailable) as caught:
            await chain.header(height)
        assert caught.value.reason == f"no block at height {height}"


async def test_a_closed_chain_answers_nothing() -> None:
    chain = await chain_at(None)
    await chain.aclose()
    await chain.aclose()
    for question in (chain.tip(), chain.header(0), chain.broadcast(b""), chain.mine()):
        with pytest.raises(ChainUnavailable):
            await question


async def test_closing_stops_a_long_mining(tmp_path: Path) -> None:
    chain = await chain_at(tmp_path / "regtest-chain")
    mining = asyncio.ensure_future(chain.mine(1_000_000))
    while (await chain.tip()).height == 0:
        await asyncio.sleep(0)
    await chain.aclose()
    with pytest.raises(ChainUnavailable):
        await mining


async def test_a_mining_that_is_cancelled_leaves_file_and_memory_the_same(tmp_path: Path) -> None:
    path = tmp_path / "regtest-chain"
    chain = await chain_at(path)
    mining = asyncio.ensure_future(chain.mine(1_000_000))
    while (await chain.tip()).height == 0:
        await asyncio.sleep(0)
    mining.cancel()
    with pytest.raises(asyncio.CancelledError):
        await mining
    assert await (await chain_at(path)).tip() == await chain.tip()
    await chain.mine()


@pytest.mark.parametrize("height", [1, 57, 100, 101, 120])
async def test_a_damaged_byte_is_found_at_its_height_and_the_file_left(tmp_path: Path, height: int) -> None:
    path = tmp_path / "regtest-chain"
    content = bytearray(await make(path, 120))
    content[(height - 1) * RECORD_BYTES + random.Random(height).randrange(RECORD_BYTES)] ^= 0x10
    path.write_bytes(content)
    with pytest.raises(ChainDamaged) as caught:
        await chain_at(path)
    assert (caught.value.path, caught.value.height) == (path, height)
    assert path.read_bytes() == content


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.integers(0, 20 * RECORD_BYTES - 1), change=st.integers(1, 255))
def test_any_damaged_byte_anywhere_is_found(tmp_path: Path, position: int, change: int) -> None:
    path = tmp_path / "regtest-chain"
    path.unlink(missing_ok=True)
    content = bytearray(asyncio.run(make(path, 20)))
    content[position] ^= change
    path.write_bytes(content)
    with pytest.raises(ChainDamaged) as caught:
        asyncio.run(chain_at(path))
    assert caught.value.height == position // RECORD_BYTES + 1


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(end=st.integers(0, 20 * RECORD_BYTES))
def test_a_file_cut_anywhere_keeps_its_whole_blocks(tmp_path: Path, end: int) -> None:
    path = tmp_path / "regtest-chain"
    path.unlink(missing_ok=True)
    content = asyncio.run(make(path, 20))
    path.write_bytes(content[:end])
    assert asyncio.run(_tip_height(path)) == end // RECORD_BYTES
    assert path.read_bytes() == content[: end - end % RECORD_BYTES]


async def _tip_height(path: Path) -> int:
    return (await (await chain_at(path)).tip()).height


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=3 * RECORD_BYTES))
def test_any_file_is_a_chain_or_told_as_damaged(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "regtest-chain"
    path.write_bytes(content)
    if len(content) < RECORD_BYTES:
        assert asyncio.run(_tip_height(path)) == 0
        return
    with pytest.raises(ChainDamaged):
        asyncio.run(chain_at(path))


async def test_blocks_that_do_not_follow_are_told(tmp_path: Path) -> None:
    path = tmp_path / "regtest-chain"
    content = await make(path, 4)
    path.write_bytes(content[:RECORD_BYTES] + content[2 * RECORD_BYTES :])
    with pytest.raises(ChainDamaged) as caught:
        await chain_at(path)
    assert (caught.value.height, caught.value.reason) == (2, "its previous block is unknown")


async def test_an_unreadable_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "regtest-chain").mkdir()
    with pytest.raises(ProfileUnusable):
        await chain_at(tmp_path / "regtest-chain")


MINE = """
import asyncio, sys
from pathlib import Path
from core.base.clock import SystemClock
from core.base.events import EventBus
from core.chain.regtest import RegtestChain
async def main():
    chain = await RegtestChain.open(Path(sys.argv[1]), EventBus(), SystemClock())
    while True:
        print((await chain.mine()).height, flush=True)
asyncio.run(main())
"""


@pytest.mark.parametrize("limit", random.Random(4).sample(range(200, 8000), 4))
async def test_a_kill_at_any_byte_keeps_every_block_that_was_told(tmp_path: Path, limit: int) -> None:
    path = tmp_path / "regtest-chain"
    child = run_until_byte(limit, MINE, path)
    assert child.returncode == -signal.SIGXFSZ, child.stderr
    told = [int(line) for line in child.stdout.split()]
    tip = await (await chain_at(path)).tip()
    assert tip.height == told[-1] == limit // RECORD_BYTES
