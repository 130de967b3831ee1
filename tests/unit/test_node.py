"""The node as a whole: what it holds, when, and that it lets go of everything."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from core.activation.errors import NodeNotActive
from core.base.events import NodeState, NodeStateChanged, TaskChanged, TaskState
from core.base.settings import Settings, parse_arguments
from core.chain.errors import NoChainSource
from core.node import Node
from core.peers.errors import ListenFailed
from core.storage.errors import ProfileLocked, SocketPathTooLong
from core.wallet.errors import KeyFileUnsafe, KeyMissing, MemoryKeyRefused, PassphraseNeeded, WrongPassphrase
from core.wallet.passphrase import Passphrase


def practice(home: Path, *more: str) -> Settings:
    """A regtest node on a free port, its key in memory."""
    return parse_arguments(
        ["--network", "regtest", "--data-dir", str(home / "d"), "--keystore", "memory", "--bind", "127.0.0.1:0", *more]
    )


@asynccontextmanager
async def started(settings: Settings) -> AsyncIterator[Node]:
    node = Node(settings)
    await node.start()
    try:
        yield node
    finally:
        await node.stop()


async def ended(node: Node) -> TaskState:
    """Wait for the activation's end."""
    outcome: asyncio.Future[TaskState] = asyncio.get_running_loop().create_future()

    def heard(event: TaskChanged) -> None:
        if event.state is not TaskState.IN_PROGRESS and not outcome.done():
            outcome.set_result(event.state)

    with node.bus.subscribe(TaskChanged, heard):
        node.activate()
        return await outcome


async def test_a_practice_node_comes_up_listens_and_leaves_nothing(home: Path) -> None:
    states: list[NodeState] = []
    async with started(practice(home)) as node:
        node.bus.subscribe(NodeStateChanged, lambda event: states.append(event.state))
        assert not node.active
        assert await ended(node) is TaskState.OK
        (address,) = node.peers.bound
        with socket.create_connection((address.host, address.port)):
            pass
        assert node.paths.socket.exists()
        assert node.paths.folder.stat().st_mode & 0o777 == 0o700
    assert states == [NodeState.STARTING, NodeState.RUNNING, NodeState.STOPPING, NodeState.OFF]
    assert not node.paths.socket.exists()
    with socket.create_server((address.host, address.port)):
        pass  # the port is free again


async def test_peers_are_there_only_while_the_node_is_active(home: Path) -> None:
    async with started(practice(home)) as node:
        with pytest.raises(NodeNotActive):
            _ = node.peers
        await ended(node)
        assert node.peers.peers() == []
    with pytest.raises(NodeNotActive):
        _ = node.peers


async def test_a_second_node_on_the_same_profile_is_refused_and_the_first_goes_on(home: Path) -> None:
    async with started(practice(home)) as first:
        second = Node(practice(home))
        with pytest.raises(ProfileLocked):
            await second.start()
        await second.stop()
        assert first.paths.socket.exists()
    await second.start()
    await second.stop()


async def test_another_network_fails_in_its_first_step_and_holds_nothing(home: Path) -> None:
    async with started(replace(practice(home), network="signet", chain_source="embedded")) as node:
        assert await ended(node) is TaskState.ERROR
        assert node.state is NodeState.PROBLEM
        assert node.task_id is not None
        rows = node.tasks.steps(node.task_id)
        assert isinstance(rows[0].error, NoChainSource)
        assert not node.active


async def test_a_taken_port_fails_its_step_and_a_retry_succeeds_once_it_is_free(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = replace(practice(home), bind=(f"127.0.0.1:{port}",))
        node = Node(settings)
        await node.start()
        assert await ended(node) is TaskState.ERROR
        assert node.task_id is not None
        assert isinstance(node.tasks.status(node.task_id).error, ListenFailed)
    assert await ended(node) is TaskState.OK
    await node.stop()


async def test_activation_is_one_task_however_often_it_is_asked_for(home: Path) -> None:
    async with started(practice(home)) as node:
        number = node.activate()
        assert node.activate() == number
        await node.cancel_activation()
        assert node.state is NodeState.OFF
        await node.cancel_activation()
        assert await ended(node) is TaskState.OK
        assert node.task_id != number
        assert node.activate() == node.task_id


async def test_stopping_in_the_middle_of_activation_releases_everything(home: Path) -> None:
    node = Node(practice(home))
    await node.start()
    node.activate()
    await asyncio.sleep(0)
    await node.stop()
    assert node.state is NodeState.OFF
    assert not node.paths.socket.exists()
    await node.stop()


async def test_a_key_in_a_file_is_the_same_after_a_restart(home: Path) -> None:
    settings = replace(practice(home), keystore="file")
    ids = []
    for _ in range(2):
        node = Node(settings)
        await node.start(passphrase=Passphrase("correct horse"))
        ids.append(node.node_id)
        await node.stop()
    assert ids[0] == ids[1]
    with pytest.raises(WrongPassphrase):
        await node.start(passphrase=Passphrase("wrong"))
    with pytest.raises(PassphraseNeeded):
        await node.start()


async def test_a_key_kept_in_a_file_is_found_without_naming_the_store_again(home: Path) -> None:
    settings = parse_arguments(["--network", "regtest", "--data-dir", str(home / "d"), "--bind", "127.0.0.1:0"])
    node = Node(settings)
    await node.start(keystore="file", passphrase=Passphrase("correct horse"))
    node_id = node.node_id
    await node.stop()
    await node.start(passphrase=Passphrase("correct horse"))
    assert node.node_id == node_id
    await node.stop()


async def test_a_profile_with_a_kept_key_is_never_given_one_in_memory(home: Path) -> None:
    node = Node(replace(practice(home), keystore="file"))
    await node.start(passphrase=Passphrase("correct horse"))
    await node.stop()
    with pytest.raises(KeyMissing):
        await Node(practice(home)).start()


@pytest.mark.parametrize("asked", [None, "keyring"])
async def test_a_key_file_that_lost_its_records_is_opened_or_named_but_never_passed_over(
    home: Path, asked: str | None
) -> None:
    settings = parse_arguments(["--network", "regtest", "--data-dir", str(home / "d"), "--offline"])
    node = Node(settings)
    await node.start(keystore="file", passphrase=Passphrase("correct horse"))
    node_id = node.node_id
    await node.stop()
    for file in settings.paths.folder.glob("leyden.sqlite*"):
        file.unlink()
    settings.paths.key_marker.unlink()
    if asked is None:
        with pytest.raises(PassphraseNeeded):
            await node.start()
        await node.start(passphrase=Passphrase("correct horse"))
        assert node.node_id == node_id
        await node.stop()
    else:
        with pytest.raises(KeyFileUnsafe, match="records do not name"):
            await node.start(keystore=asked)


async def test_real_money_is_not_kept_in_memory_unless_said_so(home: Path) -> None:
    settings = replace(practice(home), network="bitcoin", bind=(), chain_source="embedded")
    with pytest.raises(MemoryKeyRefused):
        await Node(settings).start()
    async with started(replace(settings, ephemeral=True)) as node:
        assert node.key_location == "memory"


async def test_a_path_too_long_for_a_socket_fails_at_start_with_its_length(home: Path) -> None:
    settings = replace(practice(home), data_dir=home / ("x" * 100))
    with pytest.raises(SocketPathTooLong) as caught:
        await Node(settings).start()
    assert caught.value.length > caught.value.limit
    assert not settings.data_dir.exists()


async def test_alias_and_colour_are_made_from_the_id_when_nobody_chose(home: Path) -> None:
    async with started(practice(home)) as node:
        assert node.alias == f"leyden-{node.node_id.hex()[:8]}"
        assert node.color == node.node_id.hex()[:6]
    async with started(practice(home, "--alias", "Ørsted", "--color", "3A4BD0")) as node:
        assert (node.alias, node.color) == ("Ørsted", "3a4bd0")


async def test_the_practice_peer_sends_custom_messages_back(home: Path) -> None:
    async with started(practice(home, "--demo")) as node:
        await ended(node)
        echo, quiet = node.practice_peers
        for peer in (echo, quiet):
            await node.peers.connect(peer.node_id, peer.address.host, peer.address.port)
        node.peers.send_custom(quiet.node_id, bytes.fromhex("8001") + b"hello")
        node.peers.send_custom(echo.node_id, bytes.fromhex("8001") + b"hello")
        await node.peers.ping(echo.node_id)
        await node.peers.ping(quiet.node_id)
        received = [message for message in node.peers.custom_messages() if message.direction == "in"]
        assert [(message.peer_id, message.type, message.payload) for message in received] == [
            (echo.node_id, 0x8001, b"hello")
        ]
