"""What the node's own start opens and closes, around an activation that fails or is given up."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from core.activation.errors import L2AlreadyActivated, NodeNotActive, TaskNotFound
from core.activation.params import LightningParams
from core.activation.prepare import binds_of
from core.activation.sources import Electrum, Embedded, PublicElectrum, chosen_source
from core.activation.steps import OWN_START, PLATFORM_COIN, ActivationStep
from core.base.events import NodeState, StepChanged, StepState, TaskChanged, TaskState
from core.base.settings import Settings
from core.bolt.networks import NETWORKS
from core.chain.errors import ChainUnavailable, NoChainSource
from tests.support.peers import until
from tests.unit.test_node import ended, practice, started

TICKER = "RBTC-segwit"
PARAMS = LightningParams("name", 0)


async def test_an_own_start_that_fails_closes_the_platform_coin_that_it_opened(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = replace(practice(home), bind=(f"127.0.0.1:{taken.getsockname()[1]}",))
        async with started(settings) as node:
            assert await ended(node) is TaskState.ERROR
            assert node.activator.platforms.tickers() == []


async def test_one_that_was_there_before_stays(home: Path) -> None:
    async with started(practice(home)) as node:
        coin = await node.activator.enable(TICKER, Embedded())
        node.bus.subscribe(
            StepChanged,
            lambda row: (
                asyncio.get_running_loop().call_soon(lambda: asyncio.ensure_future(node.cancel_activation()))
                if (row.status, row.state) == (ActivationStep.PEER_MANAGER, StepState.RUNNING)
                else None
            ),
        )
        node.activate()
        while node.state is not NodeState.OFF:
            await asyncio.sleep(0.001)
        assert node.activator.platforms.find(TICKER) is coin
        await coin.source.tip()


@pytest.mark.parametrize("step", [PLATFORM_COIN, *ActivationStep])
async def test_a_cancel_in_any_row_leaves_no_source_open_and_the_next_start_comes_up(home: Path, step: str) -> None:
    async with started(practice(home)) as node:
        reached = asyncio.Event()

        def look(row: StepChanged) -> None:
            if (row.status, row.state) == (step, StepState.RUNNING):
                reached.set()

        with node.bus.subscribe(StepChanged, look):
            number = node.activate()
            await reached.wait()
            await node.cancel_activation()
        with pytest.raises(TaskNotFound):
            node.tasks.status(number)
        assert node.activator.platforms.tickers() == []
        assert node.state is NodeState.OFF
        assert await ended(node) is TaskState.OK


async def test_a_platform_coin_whose_source_died_is_opened_anew(home: Path) -> None:
    async with started(practice(home)) as node:
        coin = await node.activator.enable(TICKER, Embedded())
        await coin.source.aclose()
        assert await ended(node) is TaskState.OK
        found = node.activator.platforms.find(TICKER)
        assert found is not None
        assert found is not coin


async def test_while_it_goes_down_it_is_neither_up_nor_to_be_begun_and_then_it_can_be(home: Path) -> None:
    async with started(practice(home)) as node:
        assert await ended(node) is TaskState.OK
        down = asyncio.ensure_future(node.deactivate())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert node.state is NodeState.STOPPING
        with pytest.raises(L2AlreadyActivated):
            await node.init_lightning("RBTC-lightning", PARAMS)
        await asyncio.gather(down, node.deactivate())
        assert node.state is NodeState.OFF
        number = await node.init_lightning("RBTC-lightning", PARAMS)
        while node.tasks.status(number).state is TaskState.IN_PROGRESS:
            await asyncio.sleep(0.001)
        assert node.alias == "name"
        await node.deactivate()
        assert node.alias.startswith("leyden-"), "the parameters are of one activation"


async def test_a_node_that_stops_begins_nothing_more(home: Path) -> None:
    async with started(practice(home)) as node:
        activator = node.activator
        await activator.enable(TICKER, Embedded())
        await node.stop()
        with pytest.raises(NodeNotActive):
            activator.activate()
        with pytest.raises(ChainUnavailable):
            await activator.enable(TICKER, Embedded())


@pytest.mark.parametrize(
    ("settings", "binds"),
    [
        (Settings(), (":9736",)),
        (Settings(network="regtest"), ("127.0.0.1:9736",)),
        (Settings(offline=True), ()),
        (Settings(offline=True, bind=("0.0.0.0:9735",)), ()),
        (Settings(always_use_proxy=True), ()),
        (Settings(always_use_proxy=True, bind=("127.0.0.1:1",)), ("127.0.0.1:9736",)),
        (Settings(bind=("127.0.0.1:1",)), ("127.0.0.1:9736",)),
        (Settings(bind=("/run/x",)), ("/run/x",)),
        (
            Settings(bind=("0.0.0.0:9735", "[::]:1", "/run/x", "0.0.0.0:2")),
            ("/run/x", "0.0.0.0:9736", "[::]:9736"),
        ),
    ],
)
def test_init_listens_on_its_port_everywhere_unless_the_settings_say_otherwise(
    settings: Settings, binds: tuple[str, ...]
) -> None:
    assert binds_of(settings, LightningParams("", 9736)) == binds
    assert binds_of(settings, None) == settings.binds


def test_the_settings_choose_the_source_and_none_is_made_up() -> None:
    regtest, signet = NETWORKS["regtest"], NETWORKS["signet"]
    assert chosen_source(Settings(), regtest) == Embedded()
    servers = ("127.0.0.1:1:t",)
    assert chosen_source(Settings(electrum_server=servers), signet) == Electrum(servers)
    assert chosen_source(Settings(), signet) == PublicElectrum()
    assert chosen_source(Settings(chain_source="electrum"), signet) == PublicElectrum()
    for settings in (Settings(chain_source="embedded"), Settings(chain_source="bitcoin-rpc")):
        with pytest.raises(NoChainSource):
            chosen_source(settings, signet)
    with pytest.raises(NoChainSource):
        chosen_source(Settings(chain_source="electrum"), regtest)


async def test_an_init_on_a_coin_that_is_there_has_no_row_of_the_platform_coin(home: Path) -> None:
    """Told with each event of the task: a window shows the rows of the task at hand and waits for no other."""
    async with started(practice(home)) as node:
        tasks: list[TaskChanged] = []
        rows: list[StepChanged] = []
        node.bus.subscribe(TaskChanged, tasks.append)
        node.bus.subscribe(StepChanged, rows.append)
        assert await ended(node) is TaskState.OK
        own = node.task_id
        await node.deactivate()
        inits = node.activator.init("RBTC-lightning", PARAMS)
        await until(lambda: any(event.task_id == inits and event.state is TaskState.OK for event in tasks))
        for task_id, statuses in ((own, OWN_START), (inits, tuple(ActivationStep))):
            mine = [event for event in tasks if event.task_id == task_id]
            assert [event.state for event in mine] == [TaskState.IN_PROGRESS, TaskState.OK]
            assert {event.statuses for event in mine} == {statuses}
            assert tuple(dict.fromkeys(row.status for row in rows if row.task_id == task_id)) == statuses
