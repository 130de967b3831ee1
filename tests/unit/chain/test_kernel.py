"""The embedded chain on Bitcoin Core's kernel: mined, paid out, refused, reorganised, kept."""

from __future__ import annotations

import asyncio
import itertools
import random
import signal
import tempfile
import threading
import time
from pathlib import Path

import pytest

from core.base.events import Event, EventBus
from core.chain import kernel_engine, kernel_file, kernel_state
from core.chain.errors import ChainDamaged, ChainUnavailable, FaucetEmpty
from core.chain.headers import REGTEST_TARGET, Block, BlockTree, double_sha256
from core.chain.kernel import KernelChain
from core.chain.kernel_blocks import make_block
from core.chain.source import Capability, ChainReorganised, Tip, TipChanged, UnspentOutput
from core.chain.transactions import (
    Output,
    TransactionRefused,
    compact_size,
    merkle_root,
    parse_transaction,
    serialise,
)
from core.storage.errors import ProfileUnusable
from tests.support.clock import ManualClock
from tests.unit.storage.children import end_child, run_until_byte, start_child

SCRIPT = b"\x00\x20" + bytes(range(32))
"""A P2WSH output that nobody can spend here."""


async def chain_at(folder: Path | None, bus: EventBus | None = None, clock: ManualClock | None = None) -> KernelChain:
    return await KernelChain.open(folder, bus or EventBus(), clock or ManualClock())


async def ripe(folder: Path | None = None, bus: EventBus | None = None) -> KernelChain:
    """With ten coins of 50 BTC that can be spent."""
    chain = await chain_at(folder, bus)
    await chain.mine(109)
    return chain


async def coin(chain: KernelChain, height: int) -> bytes:
    """The outpoint of what the block at `height` made."""
    reward = await chain.transaction_at(height, 0)
    assert reward is not None
    return parse_transaction(reward).outpoint(0)


def spend(outpoint: bytes, amount_sat: int, *, unlock: bytes = b"", script: bytes = SCRIPT) -> bytes:
    return serialise([(outpoint, unlock)], [Output(amount_sat, script)])


async def test_a_new_chain_begins_at_the_genesis_block() -> None:
    chain = await chain_at(None)
    assert await chain.tip() == Tip(0, chain.network.chain_hash, 1296688602)
    assert double_sha256(await chain.header(0)) == chain.network.chain_hash
    assert chain.capabilities == {Capability.TX_BY_POSITION, Capability.OUTPUT_UNSPENT, Capability.SPEND_WATCH}
    await chain.aclose()


async def test_mined_blocks_are_there_after_a_restart(tmp_path: Path) -> None:
    chain = await chain_at(tmp_path / "chainstate")
    tip = await chain.mine(250)
    headers = [await chain.header(height) for height in range(251)]
    reward = await chain.transaction_at(250, 0)
    await chain.aclose()
    again = await chain_at(tmp_path / "chainstate")
    assert await again.tip() == tip
    assert [await again.header(height) for height in range(251)] == headers
    assert await again.transaction_at(250, 0) == reward
    await again.aclose()
    assert [path.name for path in (tmp_path / "chainstate").iterdir()] == ["blocks"]


async def test_a_chain_in_memory_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    chain = await chain_at(None)
    await chain.mine(3)
    assert len(list(tmp_path.iterdir())) == 1
    await chain.aclose()
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
    await chain.aclose()


async def test_a_reorganised_chain_is_the_same_after_a_restart(tmp_path: Path) -> None:
    chain = await chain_at(tmp_path)
    await chain.mine(10)
    tip = await chain.mine(8, on=4)
    assert tip.height == 12
    await chain.aclose()
    again = await chain_at(tmp_path)
    assert await again.tip() == tip
    assert (await again.mine()).height == 13
    await again.aclose()


async def test_a_payment_is_in_the_next_block() -> None:
    chain = await ripe()
    txid = await chain.pay(SCRIPT, 60 * 100_000_000)
    assert await chain.unspent_output(txid, 0) is None, "no block holds it yet"
    await chain.mine()
    assert await chain.unspent_output(txid, 0) == UnspentOutput(60 * 100_000_000, SCRIPT, 110)
    payment = await chain.transaction_at(110, 1)
    assert payment is not None and double_sha256(payment) == txid
    assert [output.amount_sat for output in parse_transaction(payment).outputs] == [6_000_000_000, 4_000_000_000]
    assert await chain.transaction_at(110, 2) is None
    assert await chain.transaction_at(111, 0) is None
    assert await chain.transaction_at(-1, 0) is None
    await chain.aclose()


async def test_what_is_mined_to_a_script_is_its_and_what_is_spent_is_gone() -> None:
    chain = await ripe()
    await chain.mine(script=SCRIPT)
    reward = parse_transaction(await chain.transaction_at(110, 0) or b"")
    assert await chain.unspent_output(reward.txid, 0) == UnspentOutput(5_000_000_000, SCRIPT, 110)
    first = await coin(chain, 1)
    assert await chain.unspent_output(first[:32], 0) is not None
    await chain.broadcast(spend(first, 1000))
    await chain.mine()
    assert await chain.unspent_output(first[:32], 0) is None
    assert await chain.unspent_output(reward.txid, 1) is None, "the witness commitment can never be spent"
    await chain.aclose()


async def test_what_a_block_spends_is_told() -> None:
    chain = await ripe()
    first = await coin(chain, 1)
    assert await chain.spent_at(109) == frozenset()
    await chain.broadcast(spend(first, 1000))
    await chain.mine()
    assert await chain.spent_at(110) == {first}
    assert await chain.spent_at(109) == frozenset()
    assert await chain.spent_at(111) is None
    await chain.aclose()


async def test_a_faucet_gives_no_more_than_is_ripe_and_unspent() -> None:
    chain = await chain_at(None)
    await chain.mine(100)
    await chain.pay(SCRIPT, 1)
    with pytest.raises(FaucetEmpty) as caught:
        await chain.pay(SCRIPT, 1)
    assert caught.value.spendable_sat == 0, "a payment waits: its coin is spent, the next is not ripe"
    await chain.mine()
    await chain.pay(SCRIPT, 5_000_000_000)
    with pytest.raises(FaucetEmpty) as caught:
        await chain.pay(SCRIPT, 5_000_000_000)
    assert (caught.value.asked_sat, caught.value.spendable_sat) == (5_000_000_000, 4_999_999_999)
    with pytest.raises(ValueError, match="0 sat"):
        await chain.pay(SCRIPT, 0)
    await chain.aclose()


async def test_what_the_kernel_refuses_is_refused_with_its_reason_and_never_mined() -> None:
    chain = await ripe()
    first, young = await coin(chain, 1), await coin(chain, 50)
    twice = serialise([(first, b""), (first, b"")], [Output(1, SCRIPT)])
    wrong = {
        "bad-txns-inputs-missingorspent": spend(bytes(36), 1),
        "bad-txns-premature-spend-of-coinbase": spend(young, 1),
        "bad-txns-in-belowout": spend(first, 5_000_000_001),
        "block-script-verify-flag-failed (OP_RETURN was encountered)": spend(first, 1, unlock=b"\x6a"),
        "bad-txns-inputs-duplicate": twice,
    }
    for reason, transaction in wrong.items():
        with pytest.raises(TransactionRefused) as caught:
            await chain.broadcast(transaction)
        assert str(caught.value).startswith(reason)
    with pytest.raises(TransactionRefused, match="ends within"):
        await chain.broadcast(b"no transaction")
    assert (await chain.tip()).height == 109, "trying a transaction adds no block"
    await chain.mine()
    assert await chain.transaction_at(110, 1) is None
    await chain.aclose()


async def test_a_wrong_witness_is_refused() -> None:
    chain = await ripe()
    # P2WSH of OP_TRUE, which the witness must show; the second spend shows another script.
    script = b"\x00\x20" + bytes.fromhex("4ae81572f06e1b88fd5ced7a1a000945432e83e1551e6f721ee9c00b8cc33260")
    funding = parse_transaction(spend(await coin(chain, 1), 5000, script=script))
    await chain.broadcast(funding.raw)
    shown = [
        serialise([(funding.outpoint(0), b"")], [Output(1, SCRIPT)], witness=b"\x01\x01" + op)
        for op in (b"\x51", b"\x52")
    ]
    with pytest.raises(TransactionRefused, match="Witness program hash mismatch"):
        await chain.broadcast(shown[1])
    txid = await chain.broadcast(shown[0])
    await chain.mine()
    assert await chain.unspent_output(txid, 0) == UnspentOutput(1, SCRIPT, 110)
    assert await chain.transaction_at(110, 2) == shown[0]
    await chain.aclose()


async def test_two_spends_of_one_coin_the_second_is_refused_while_the_first_waits() -> None:
    chain = await ripe()
    first = await coin(chain, 1)
    txid = await chain.broadcast(spend(first, 7))
    assert await chain.broadcast(spend(first, 7)) == txid, "the same again is no other"
    with pytest.raises(TransactionRefused, match="missingorspent"):
        await chain.broadcast(spend(first, 8))
    await chain.aclose()


async def test_after_a_reorganisation_what_left_the_chain_waits_again_as_far_as_it_is_valid() -> None:
    chain = await ripe()
    old_reward_height = (await chain.mine()).height
    payment = await chain.pay(SCRIPT, 1000)
    await chain.mine()
    await chain.mine(99)
    dependent = spend(await coin(chain, old_reward_height), 5)
    lost = await chain.broadcast(dependent)
    await chain.mine()
    tip = await chain.mine(103, on=109)
    assert await chain.unspent_output(payment, 0) is None
    await chain.mine()
    found = await chain.unspent_output(payment, 0)
    assert found is not None and found.height == tip.height + 1
    assert await chain.unspent_output(lost, 0) is None, "it spent what the other branch had made"
    await chain.aclose()


async def test_a_height_above_the_tip_has_no_header_and_bears_no_block() -> None:
    chain = await chain_at(None)
    for height in (-1, 1):
        with pytest.raises(ChainUnavailable) as caught:
            await chain.header(height)
        assert caught.value.reason == f"no block at height {height}"
    with pytest.raises(ChainUnavailable):
        await chain.mine(on=1)
    with pytest.raises(ChainUnavailable, match="bad-blk-length"):
        await chain.mine(script=bytes(2_000_000))
    await chain.aclose()


async def test_a_closed_chain_answers_nothing() -> None:
    chain = await chain_at(None)
    await chain.aclose()
    await chain.aclose()
    for question in (
        chain.tip(),
        chain.header(0),
        chain.broadcast(b""),
        chain.mine(),
        chain.pay(SCRIPT, 1),
        chain.transaction_at(0, 0),
        chain.unspent_output(bytes(32), 0),
    ):
        with pytest.raises(ChainUnavailable):
            await question


async def test_closing_stops_a_long_mining(tmp_path: Path) -> None:
    chain = await chain_at(tmp_path)
    mining = asyncio.ensure_future(chain.mine(1_000_000))
    while (await chain.tip()).height == 0:
        await asyncio.sleep(0)
    await chain.aclose()
    with pytest.raises(ChainUnavailable):
        await mining


async def test_a_mining_that_is_cancelled_leaves_file_memory_and_what_was_told_the_same(tmp_path: Path) -> None:
    bus, told = EventBus(), list[TipChanged]()
    bus.subscribe(TipChanged, told.append)
    chain = await chain_at(tmp_path, bus)
    mining = asyncio.ensure_future(chain.mine(1_000_000))
    while (await chain.tip()).height == 0:
        await asyncio.sleep(0)
    mining.cancel()
    with pytest.raises(asyncio.CancelledError):
        await mining
    tip = await chain.tip()
    assert told[-1].tip == tip
    await chain.aclose()
    again = await chain_at(tmp_path)
    assert await again.tip() == tip
    await again.aclose()


@pytest.mark.parametrize(("method", "call"), [("__init__", 1), ("load", 1), ("load", 7)])
async def test_an_opening_that_is_cancelled_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, call: int
) -> None:
    chain = await chain_at(tmp_path)
    await chain.mine(600)
    await chain.aclose()
    loop = asyncio.get_running_loop()
    real = getattr(kernel_state.ChainState, method)
    calls = itertools.count(1)

    def cancelled_meanwhile(*arguments: object) -> object:
        if next(calls) == call:
            loop.call_soon_threadsafe(opening.cancel)
        return real(*arguments)

    monkeypatch.setattr(kernel_state.ChainState, method, cancelled_meanwhile)
    opening = asyncio.ensure_future(chain_at(tmp_path))
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert [path.name for path in tmp_path.iterdir()] == ["blocks"]


async def test_the_kernel_never_runs_in_the_loops_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: set[int] = set()
    submit = kernel_engine.Kernel.submit

    def watched(kernel: kernel_engine.Kernel, block: bytes) -> str | None:
        seen.add(threading.get_ident())
        return submit(kernel, block)

    monkeypatch.setattr(kernel_engine.Kernel, "submit", watched)
    chain = await ripe()
    await chain.pay(SCRIPT, 1)
    await chain.aclose()
    assert seen
    assert threading.get_ident() not in seen


@pytest.mark.parametrize("position", [*random.Random(11).sample(range(20 * 200), 12), -1])
async def test_a_damaged_byte_is_found_and_the_file_left(tmp_path: Path, position: int) -> None:
    chain = await chain_at(tmp_path)
    await chain.mine(20)
    await chain.aclose()
    content = bytearray((tmp_path / "blocks").read_bytes())
    content[position] ^= 0x10
    (tmp_path / "blocks").write_bytes(content)
    with pytest.raises(ChainDamaged) as caught:
        await chain_at(tmp_path)
    record = len(content) // 20
    assert abs(caught.value.height - (position % len(content) // record + 1)) <= 1
    assert (tmp_path / "blocks").read_bytes() == content


async def test_a_whole_record_that_the_kernel_refuses_is_told(tmp_path: Path) -> None:
    chain = await chain_at(tmp_path)
    await chain.mine(4)
    await chain.aclose()
    file = kernel_file.BlockFile(tmp_path / "blocks")
    blocks = file.read(10, height=1)
    # The third block's reward, one satoshi more; its root and work made to fit.
    forged = _with_reward(blocks[2], 5_000_000_001)
    (tmp_path / "blocks").unlink()
    kernel_file.BlockFile(tmp_path / "blocks").append([*blocks[:2], forged])
    with pytest.raises(ChainDamaged) as caught:
        await chain_at(tmp_path)
    assert caught.value.height == 3
    assert caught.value.reason.startswith("bad-cb-amount")


async def test_a_branch_that_stands_on_a_block_that_the_kernel_refuses_is_told(tmp_path: Path) -> None:
    """The kernel looks at such a block only when its branch becomes the best."""
    genesis = BlockTree().tip
    first = make_block(genesis, [], SCRIPT, extra=0, time=0)
    forged = _with_reward(make_block(genesis, [], SCRIPT, extra=1, time=0), 5_000_000_001)
    missing = parse_transaction(spend(bytes(36), 1))
    second = make_block(Block.on(genesis, forged[:80]), [missing], SCRIPT, extra=0, time=0)
    kernel_file.BlockFile(tmp_path / "blocks").append([first, forged, second])
    with pytest.raises(ChainDamaged) as caught:
        await chain_at(tmp_path)
    assert caught.value.height == 1
    assert caught.value.reason.startswith("bad-cb-amount")


def _with_reward(block: bytes, amount_sat: int) -> bytes:
    at = block.index((5_000_000_000).to_bytes(8, "little"))
    body = block[80:at] + amount_sat.to_bytes(8, "little") + block[at + 8 :]
    reward = parse_transaction(body[len(compact_size(1)) :])
    for nonce in range(1000):
        header = block[:36] + merkle_root([reward.txid]) + block[68:76] + nonce.to_bytes(4, "little")
        if int.from_bytes(double_sha256(header), "little") <= REGTEST_TARGET:
            break
    return header + body


async def test_a_block_ahead_of_this_computers_clock_is_refused() -> None:
    chain = await chain_at(None, clock=ManualClock(time=time.time() + 3 * 3600))
    with pytest.raises(ChainUnavailable, match="time-too-new"):
        await chain.mine()
    assert (await chain.tip()).height == 0
    await chain.aclose()


async def test_a_chain_mined_ahead_of_the_clock_is_not_called_damaged(tmp_path: Path) -> None:
    """As after the computer's clock was set back: the kernel has no clock but the computer's."""
    genesis = BlockTree().tip
    block = make_block(genesis, [], SCRIPT, extra=0, time=int(time.time()) + 3 * 3600)
    kernel_file.BlockFile(tmp_path / "blocks").append([block])
    with pytest.raises(ChainUnavailable, match="is the clock right"):
        await chain_at(tmp_path)


@pytest.mark.parametrize("cut", [1, 7, 8, 9, 100, 200])
async def test_a_file_cut_within_its_last_record_keeps_the_whole_ones(tmp_path: Path, cut: int) -> None:
    chain = await chain_at(tmp_path)
    await chain.mine(5)
    whole = (tmp_path / "blocks").stat().st_size
    await chain.mine()
    await chain.aclose()
    with (tmp_path / "blocks").open("r+b") as file:
        file.truncate(whole + cut)
    again = await chain_at(tmp_path)
    assert (await again.tip()).height == 5
    assert (tmp_path / "blocks").stat().st_size == whole
    assert (await again.mine()).height == 6
    await again.aclose()


async def test_an_unusable_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ProfileUnusable):
        await chain_at(tmp_path / "file")
    (tmp_path / "blocks").mkdir()
    with pytest.raises(ProfileUnusable):
        await chain_at(tmp_path)


MINE = """
import asyncio, random, sys
from pathlib import Path
from core.base.clock import SystemClock
from core.base.events import EventBus
from core.chain.kernel import KernelChain
async def main():
    chain = await KernelChain.open(Path(sys.argv[1]), EventBus(), SystemClock())
    print("ready", flush=True)
    while True:
        print((await chain.mine(random.randrange(1, 4))).height, flush=True)
asyncio.run(main())
"""


async def test_a_kill_at_any_moment_keeps_every_block_that_was_told(tmp_path: Path) -> None:
    """Ten kills of one growing chain, at random moments."""
    moments = random.Random(5)
    height = 0
    for _ in range(10):
        child = start_child(MINE, tmp_path)
        assert child.stdout is not None
        for _ in range(moments.randrange(1, 20)):
            told = int(child.stdout.readline())
            assert told > height
            height = told
        child.kill()
        rest = child.stdout.read().split()
        height = int(rest[-1]) if rest else height
        end_child(child)
        assert child.returncode == -signal.SIGKILL
        chain = await chain_at(tmp_path)
        assert height <= (await chain.tip()).height <= height + 3
        height = (await chain.tip()).height
        await chain.aclose()


@pytest.mark.parametrize("limit", random.Random(4).sample(range(300, 4000), 3))
async def test_a_kill_within_a_write_keeps_every_block_that_was_told(tmp_path: Path, limit: int) -> None:
    # The kernel's own files are longer than the limit from the start: only ours is written by the child.
    blocks = [random.Random(number).randbytes(230) for number in range(30)]
    (tmp_path / "source").write_bytes(b"".join(blocks))
    child = run_until_byte(
        limit,
        """
        import sys
        from pathlib import Path
        from core.chain.kernel_file import BlockFile
        source, target = Path(sys.argv[1]).read_bytes(), BlockFile(Path(sys.argv[2]))
        for start in range(0, len(source), 230):
            target.append([source[start : start + 230]])
            print(start // 230 + 1, flush=True)
        """,
        tmp_path / "source",
        tmp_path / "blocks",
    )
    assert child.returncode == -signal.SIGXFSZ, child.stderr
    told = [int(line) for line in child.stdout.split()]
    assert kernel_file.BlockFile(tmp_path / "blocks").read(100, height=1) == blocks[: told[-1]]
