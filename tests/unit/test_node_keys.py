"""A node started with a key that a person made or restored, and what it does with its key while it runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from core.base.events import TaskChanged, TaskState
from core.base.settings import Settings, parse_arguments
from core.node import Node
from core.wallet.errors import KeyInTheWay, KeysLocked, KeyStorePinned, WrongPassphrase
from core.wallet.keystore import KeyStoreKind
from core.wallet.passphrase import Passphrase
from core.wallet.secret import Secret
from tests.unit.wallet.parts import abandon_secret

OLD, NEW = Passphrase("old"), Passphrase("new")


def settings_of(home: Path, *more: str) -> Settings:
    """A regtest profile whose keystore nobody set."""
    return parse_arguments(["--network", "regtest", "--data-dir", str(home / "d"), "--bind", "127.0.0.1:0", *more])


@asynccontextmanager
async def started(
    settings: Settings, *, passphrase: Passphrase = OLD, secret: Secret | None = None, keystore: str | None = None
) -> AsyncIterator[Node]:
    node = Node(settings)
    await node.start(keystore=keystore, passphrase=passphrase, secret=secret)
    try:
        yield node
    finally:
        await node.stop()


async def test_the_key_that_the_wizard_made_is_the_nodes_from_then_on(home: Path) -> None:
    node = Node(settings_of(home))
    draft = await node.keys.draft(12)
    words = list(draft.words)
    secret = draft.confirm([words[place - 1] for place in draft.challenge()])
    node_id = await node.keys.node_id_of(secret)
    assert node.key_location == ""
    await node.start(keystore="file", passphrase=OLD, secret=secret)
    assert (node.node_id, node.key_location) == (node_id, str(node.paths.key_file))
    await node.stop()
    assert node.key_location == ""
    async with started(settings_of(home)) as again:  # the profile knows by itself where its key is
        assert again.node_id == node_id


async def test_words_of_another_node_are_refused_and_the_profile_opens_as_before(home: Path) -> None:
    async with started(settings_of(home), keystore="file") as node:
        node_id = node.node_id
    with pytest.raises(KeyInTheWay):
        await Node(settings_of(home)).start(passphrase=OLD, secret=abandon_secret())
    async with started(settings_of(home)) as node:
        assert node.node_id == node_id


async def test_a_changed_passphrase_opens_the_next_start(home: Path) -> None:
    async with started(settings_of(home), keystore="file") as node:
        node_id = node.node_id
        await node.keys.change_passphrase(OLD, NEW)
        assert node.node_id == node_id
    with pytest.raises(WrongPassphrase):
        await Node(settings_of(home)).start(passphrase=OLD)
    async with started(settings_of(home), passphrase=NEW) as node:
        assert node.node_id == node_id


async def test_a_place_that_an_option_names_is_pinned(home: Path) -> None:
    async with started(settings_of(home, "--keystore", "file")) as node:
        assert node.keys.state().pinned
        with pytest.raises(KeyStorePinned):
            await node.keys.move(KeyStoreKind.KEYRING, passphrase=OLD)


async def test_a_locked_node_keeps_its_key_and_its_listener(home: Path) -> None:
    async with started(settings_of(home), keystore="file", secret=abandon_secret()) as node:
        up = asyncio.Event()
        with node.bus.subscribe(TaskChanged, lambda event: event.state is TaskState.OK and up.set()):
            node.activate()
            await up.wait()
        (address,) = node.peers.bound
        node.keys.lock()
        assert node.keys.state().locked
        _, writer = await asyncio.open_connection(address.host, address.port)
        writer.close()
        await writer.wait_closed()
        assert node.active
        assert node.node_id == await _node_id_of(node)
        with pytest.raises(KeysLocked):
            await node.keys.draft()
        with pytest.raises(WrongPassphrase):
            await node.keys.unlock(NEW)
        await node.keys.unlock(OLD)
        assert not node.keys.state().locked


async def _node_id_of(node: Node) -> bytes:
    return await node.keys.node_id_of(abandon_secret())
