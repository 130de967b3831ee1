"""Each of the eight steps: what is there after it and not before, how it fails from outside, cancelled inside it."""

from __future__ import annotations

import asyncio
import random
import shutil
import socket
import sqlite3
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from core.activation.coins import ConfirmationTargets
from core.activation.errors import TaskNotFound
from core.activation.lightning import Lightning
from core.activation.services import BackgroundServices
from core.activation.steps import ActivationStep
from core.base.events import StepState
from core.chain.errors import ChainUnavailable
from core.chain.regtest import RegtestChain
from core.gossip.scorer import encode
from core.peers.errors import ListenFailed
from core.storage.database import Database
from core.storage.errors import DatabaseDamaged, ProfileUnusable
from tests.support.chains import FeeChain
from tests.unit.activation.rig import COIN, FRIEND, Rig, make_rig
from tests.unit.channels.test_records import RECORD
from tests.unit.gossip.stores import store

STEPS = tuple(ActivationStep)


def assert_ended_in(rig: Rig, failed: ActivationStep, state: StepState) -> None:
    """Every step before is done, this one ended so, none after it began."""
    states = rig.states()
    at = STEPS.index(failed)
    assert [states[step] for step in STEPS[:at]] == [StepState.DONE] * at
    assert states[failed] is state
    assert [states[step] for step in STEPS[at + 1 :]] == [StepState.WAITING] * (7 - at)


async def assert_fails(rig: Rig, step: ActivationStep, kind: type[Exception]) -> Exception:
    """Activation fails in this step with this error; everything is released, and RPC-like users can try again."""
    with pytest.raises(kind) as caught:
        await rig.run()
    assert_ended_in(rig, step, StepState.FAILED)
    assert next(row.error for row in rig.told if row.error is not None) is caught.value
    await rig.assert_released()
    return caught.value


async def mine(rig: Rig, blocks: int) -> None:
    assert isinstance(rig.chain, RegtestChain)
    await rig.chain.mine(blocks)


# -- all eight


async def test_a_new_profile_comes_up_and_each_step_with_nothing_to_do_says_so(tmp_path: Path) -> None:
    async with make_rig(tmp_path) as rig:
        await rig.book.forget(FRIEND)
        lightning = await rig.run()
        assert list(rig.states()) == list(STEPS)
        assert rig.details() == {
            "ActivatingCoin": "RBTC-lightning on RBTC-segwit: embedded regtest chain: headers and proof of work are"
            " checked, scripts are not; tip at height 0",
            "GettingFeesFromRPC": "no estimates from this chain source: the floor, 253 sat/kw",
            "ReadingNetworkGraphFromFile": "no file yet: an empty graph",
            "InitializingChannelManager": "no channels",
            "InitializingPeerManager": f"listening on 127.0.0.1:{rig.port}",
            "ReadingScorerFromFile": "no file yet: nothing learned",
            "InitializingBackgroundProcessor": "flushing, pruning, pings, reconnecting and gossip run",
            "ReadingChannelsAddressesFromFile": "no saved peers",
        }
        assert all(row.done is None for row in rig.told), "no progress is invented"
        assert all((row.duration_s is not None) == (row.state is StepState.DONE) for row in rig.told)
        await lightning.aclose()
        await lightning.aclose()
        await rig.assert_released()


async def test_an_active_node_can_be_released_and_activated_again(tmp_path: Path) -> None:
    async with make_rig(tmp_path) as rig:
        for _ in range(2):
            lightning = await rig.run()
            assert rig.listening()
            await lightning.aclose()
            await rig.assert_released()


async def test_where_nothing_may_listen_nothing_does(tmp_path: Path) -> None:
    async with make_rig(tmp_path) as rig:
        rig.overrides |= {"binds": (), "reconnect": False}
        lightning = await rig.run()
        assert not rig.listening()
        assert lightning.peers.reconnects_in_s(FRIEND) is None
        details = rig.details()
        assert details["InitializingPeerManager"] == "not listening: no address to listen on was chosen"
        assert details["ReadingChannelsAddressesFromFile"] == "1 saved peers, not reconnecting by itself"
        await lightning.aclose()


# -- what exists after a step, and not before


def facts(rig: Rig) -> dict[ActivationStep, Callable[[], bool]]:
    """For each step, how to see from outside that it was done."""
    folder = rig.paths.folder
    return {
        ActivationStep.ACTIVATING_COIN: lambda: isinstance(rig.chain, FeeChain) and rig.chain.tips > 0,
        ActivationStep.GETTING_FEES: lambda: isinstance(rig.chain, FeeChain) and rig.chain.asked == [12, 6, 1],
        ActivationStep.READING_GRAPH: lambda: any(folder.glob("gossip_store.damaged-*")),
        ActivationStep.CHANNEL_MANAGER: lambda: rig.channels is not None,
        ActivationStep.PEER_MANAGER: rig.listening,
        ActivationStep.READING_SCORER: lambda: any(folder.glob("scorer.damaged-*")),
        ActivationStep.BACKGROUND: lambda: len(rig.service_tasks()) == 1,
        ActivationStep.READING_ADDRESSES: lambda: (
            rig.peers is not None and rig.peers.reconnects_in_s(FRIEND) is not None
        ),
    }


@pytest.mark.parametrize("step", STEPS)
async def test_what_a_step_builds_exists_after_it_and_not_before(tmp_path: Path, step: ActivationStep) -> None:
    async with make_rig(tmp_path) as rig:
        rig.use_chain(FeeChain())
        rig.paths.gossip_store.write_bytes(b"damaged")
        rig.paths.scorer.write_bytes(b"damaged")
        built = facts(rig)[step]
        seen: list[bool] = []
        rig.on(step, StepState.RUNNING, lambda: seen.append(built()))
        rig.on(step, StepState.DONE, lambda: seen.append(built()))
        lightning = await rig.run()
        assert seen == [False, True]
        await lightning.aclose()
        await rig.assert_released()


# -- failures from outside


async def test_activating_coin_fails_when_the_chain_does_not_answer(tmp_path: Path) -> None:
    async with make_rig(tmp_path) as rig:
        chain = FeeChain()
        chain.dead = "connection lost"
        rig.use_chain(chain)
        await assert_fails(rig, ActivationStep.ACTIVATING_COIN, ChainUnavailable)


async def test_a_backup_folder_is_made_and_proved_before_anything_depends_on_it(tmp_path: Path) -> None:
    async with make_rig(tmp_path) as rig:
        rig.overrides["backup"] = tmp_path / "elsewhere" / "LIGHTNING"
        lightning = await rig.run()
        assert list((tmp_path / "elsewhere" / "LIGHTNING").iterdir()) == []
        await lightning.aclose()


async def test_getting_fees_fails_when_the_backup_folder_cannot_be_one(tmp_path: Path) -> None:
    async with make_rig(tmp_path) as rig:
        (tmp_path / "file").write_text("x")
        rig.overrides["backup"] = tmp_path / "file"
        error = await assert_fails(rig, ActivationStep.GETTING_FEES, ProfileUnusable)
        assert error.facts["path"] == tmp_path / "file"


async def test_the_peer_manager_fails_on_a_list_of_trusted_nodes_that_is_none(tmp_path: Path) -> None:
    async with make_rig(tmp_path) as rig:
        (rig.paths.folder / "trusted_nodes").write_text('["02"]')
        await assert_fails(rig, ActivationStep.PEER_MANAGER, ProfileUnusable)
        assert (rig.paths.folder / "trusted_nodes").read_text() == '["02"]', "left as it is"


async def test_fees_are_asked_for_by_the_coins_own_confirmation_targets(tmp_path: Path) -> None:
    async with make_rig(tmp_path) as rig:
        chain = FeeChain()
        rig.use_chain(chain)
        rig.overrides["coin"] = replace(COIN, targets=ConfirmationTargets(144, 20, 3))
        lightning = await rig.run()
        assert chain.asked == [144, 20, 3]
        await lightning.aclose()


async def test_getting_fees_fails_when_the_chain_dies(tmp_path: Path) -> None:
    async with make_rig(tmp_path) as rig:
        chain = FeeChain()
        rig.use_chain(chain)
        rig.on(ActivationStep.GETTING_FEES, StepState.RUNNING, lambda: setattr(chain, "dead", "connection lost"))
        error = await assert_fails(rig, ActivationStep.GETTING_FEES, ChainUnavailable)
        assert error.facts == {"reason": "connection lost"}
        assert not chain.closed, "it is the platform coin's"


async def test_reading_the_graph_fails_when_its_file_cannot_be_read(tmp_path: Path) -> None:
    async with make_rig(tmp_path) as rig:
        rig.paths.gossip_store.mkdir()
        error = await assert_fails(rig, ActivationStep.READING_GRAPH, ProfileUnusable)
        assert error.facts["path"] == rig.paths.gossip_store


async def test_the_channel_manager_fails_when_channel_records_are_lost(tmp_path: Path) -> None:
    async with make_rig(tmp_path) as rig:
        await rig.database.expect_channels()
        await rig.database.aclose()
        rig.paths.database.write_bytes(random.Random(9).randbytes(8192))
        rig.database = await Database.open(rig.paths.database)
        await assert_fails(rig, ActivationStep.CHANNEL_MANAGER, DatabaseDamaged)


async def test_the_channel_manager_fails_on_a_chain_that_is_behind_its_channels(tmp_path: Path) -> None:
    async with make_rig(tmp_path) as rig:
        await mine(rig, 102)
        lightning = await rig.run()
        await lightning.channels.put(RECORD)
        await lightning.aclose()
        rig.told.clear()
        error = await assert_fails(rig, ActivationStep.CHANNEL_MANAGER, ChainUnavailable)
        assert error.facts == {"reason": "its tip is at height 102, channel 103x1x1 was confirmed at 103"}
        await mine(rig, 1)
        lightning = await rig.run()
        assert rig.details()["InitializingChannelManager"] == "1 channels at height 103"
        await lightning.aclose()


async def test_the_peer_manager_fails_on_a_taken_port(tmp_path: Path) -> None:
    async with make_rig(tmp_path) as rig:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            rig.overrides["binds"] = [f"127.0.0.1:{rig.port}", f"127.0.0.1:{taken.getsockname()[1]}"]
            error = await assert_fails(rig, ActivationStep.PEER_MANAGER, ListenFailed)
            assert error.facts["reason"] == "Address already in use"


async def test_reading_the_scorer_fails_when_its_file_cannot_be_read_and_the_port_is_free_again(tmp_path: Path) -> None:
    async with make_rig(tmp_path) as rig:
        rig.paths.scorer.mkdir()
        rig.on(ActivationStep.READING_SCORER, StepState.FAILED, lambda: rig.problems.append(OSError(rig.listening())))
        await assert_fails(rig, ActivationStep.READING_SCORER, ProfileUnusable)
        assert rig.problems[0].args == (True,), "until then it listened"


async def test_the_background_services_fail_when_the_profile_cannot_be_written(tmp_path: Path) -> None:
    async with make_rig(tmp_path) as rig:
        away = rig.paths.folder.with_name("away")
        rig.on(ActivationStep.BACKGROUND, StepState.RUNNING, lambda: shutil.move(rig.paths.folder, away))
        await assert_fails(rig, ActivationStep.BACKGROUND, ProfileUnusable)


def drop_addresses(rig: Rig) -> None:
    other = sqlite3.connect(rig.paths.database, isolation_level=None)
    other.execute("DROP TABLE peer_addresses")
    other.close()


async def test_reading_addresses_fails_when_the_saved_peers_cannot_be_read(tmp_path: Path) -> None:
    async with make_rig(tmp_path) as rig:
        rig.on(ActivationStep.READING_ADDRESSES, StepState.RUNNING, lambda: drop_addresses(rig))
        await assert_fails(rig, ActivationStep.READING_ADDRESSES, DatabaseDamaged)


async def test_a_release_that_fails_in_part_hides_neither_the_error_nor_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stubborn(BackgroundServices):
        async def aclose(self) -> None:
            await super().aclose()
            raise OSError("will not close")

    monkeypatch.setattr("core.activation.lightning.BackgroundServices", Stubborn)
    reported: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: reported.append(context))
    async with make_rig(tmp_path) as rig:
        rig.on(ActivationStep.READING_ADDRESSES, StepState.RUNNING, lambda: drop_addresses(rig))
        await assert_fails(rig, ActivationStep.READING_ADDRESSES, DatabaseDamaged)
    assert [str(context["exception"]) for context in reported] == ["will not close"]


# -- cancelled inside


@pytest.mark.parametrize("step", STEPS)
async def test_a_cancel_inside_a_step_lands_at_once_and_releases_everything(
    tmp_path: Path, step: ActivationStep
) -> None:
    async with make_rig(tmp_path) as rig:
        if step in (ActivationStep.ACTIVATING_COIN, ActivationStep.GETTING_FEES):
            chain = FeeChain()
            rig.use_chain(chain)
            rig.on(step, StepState.RUNNING, chain.silent.set)
        else:
            await mine(rig, 300)
        rig.paths.gossip_store.write_bytes(store(3000))
        rig.paths.scorer.write_bytes(encode({}))
        reached = asyncio.Event()
        rig.on(step, StepState.RUNNING, reached.set)
        task_id = rig.start()
        await reached.wait()
        began = time.monotonic()
        await rig.tasks.cancel(task_id)
        assert time.monotonic() - began < 5, "nothing is waited for; the acceptance holds it to 200 ms"
        assert_ended_in(rig, step, StepState.CANCELLED)
        await rig.assert_released()
        with pytest.raises(TaskNotFound):
            rig.tasks.status(task_id)
        assert rig.tasks.steps(task_id)[STEPS.index(step)].state is StepState.CANCELLED, "for those who come late"


@pytest.mark.parametrize("seed", range(3))
async def test_cancels_at_random_moments_leave_nothing_and_the_next_activation_comes_up(
    tmp_path: Path, seed: int
) -> None:
    async with make_rig(tmp_path) as rig:
        rig.paths.gossip_store.write_bytes(store(400))
        chance = random.Random(seed)
        for _ in range(15):
            task_id = rig.start()
            await asyncio.sleep(chance.uniform(0, 0.03))
            try:
                await rig.tasks.cancel(task_id)
            except Exception:  # noqa: BLE001 - it was up already
                lightning = rig.tasks.status(task_id).result
                assert isinstance(lightning, Lightning)
                await lightning.aclose()
            await rig.assert_released()
        lightning = await rig.run()
        assert rig.listening()
        await lightning.aclose()


async def test_a_second_cancel_during_the_release_does_not_cut_it_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Slow(BackgroundServices):
        async def aclose(self) -> None:
            closing.set()
            await asyncio.sleep(0.02)
            await super().aclose()
            closed.set()

    monkeypatch.setattr("core.activation.lightning.BackgroundServices", Slow)
    closing, closed = asyncio.Event(), asyncio.Event()
    async with make_rig(tmp_path) as rig:
        reached = asyncio.Event()
        rig.on(ActivationStep.READING_ADDRESSES, StepState.RUNNING, reached.set)
        task_id = rig.start()
        await reached.wait()
        first = asyncio.ensure_future(rig.tasks.cancel(task_id))
        await closing.wait()
        for task in asyncio.all_tasks():
            if task.get_name() == f"task {task_id}":
                task.cancel()
        await first
        assert closed.is_set()
        await rig.assert_released()


# -- progress


async def test_reading_a_graph_tells_how_far_it_is(tmp_path: Path) -> None:
    async with make_rig(tmp_path) as rig:
        content = store(1000)
        rig.paths.gossip_store.write_bytes(content)
        lightning = await rig.run()
        rows = [row for row in rig.told if row.status == ActivationStep.READING_GRAPH]
        assert (rows[-1].done, rows[-1].total) == (len(content), len(content))
        assert rig.details()["ReadingNetworkGraphFromFile"] == "1000 channels, 1000 nodes in 5001 records"
        assert len(rows) < 8, "not every slice is told"
        await lightning.aclose()


async def test_what_was_learned_while_active_is_flushed_by_the_release(tmp_path: Path) -> None:
    async with make_rig(tmp_path) as rig:
        lightning = await rig.run()
        lightning.scorer.payment_failed(1, 0, 5, capacity_msat=9, now=6.0)
        await lightning.aclose()
        again = await rig.run()
        assert len(again.scorer) == 1
        await again.aclose()
