"""A whole node that is reached through Tor."""

from __future__ import annotations

from pathlib import Path

from core.base.events import NodeState, TaskState
from core.bolt.keys import NodeKey
from core.peers.errors import OnionServiceFailed
from core.wallet.errors import PassphraseFileUnsafe
from tests.support.peers import until
from tests.support.raw_peer import RawPeer
from tests.support.tor_double import tor_double
from tests.unit.test_node import ended, practice, started


async def test_it_has_an_onion_service_while_it_is_active_and_no_longer(home: Path, tmp_path: Path) -> None:
    async with tor_double(tmp_path) as double:
        async with started(practice(home, "--tor-control", f"127.0.0.1:{double.port}")) as node:
            assert node.onion_address is None
            assert await ended(node) is TaskState.OK
            ((service, (port, target)),) = double.services.items()
            assert node.onion_address is not None
            assert (
                (node.onion_address.host, node.onion_address.port)
                == (f"{service}.onion", port)
                == (
                    f"{service}.onion",
                    node.network.default_port,
                )
            )
            assert target not in node.peers.bound
            async with RawPeer.dialled(NodeKey.generate(), node.node_id, target.host, target.port) as peer:
                await peer.exchange_init()
                await until(lambda: len(node.peers.peers()) == 1)
            double.drop()
            await until(lambda: node.onion_address is None)
            assert node.state is NodeState.RUNNING, "it goes on"
            assert node.peers.bound
            await until(lambda: node.onion_address is not None)
        assert double.services == {}


async def test_without_tor_the_step_fails_and_once_tor_is_there_a_retry_succeeds(home: Path, tmp_path: Path) -> None:
    async with tor_double(tmp_path) as double:
        pass
    async with started(practice(home, "--tor-control", f"127.0.0.1:{double.port}")) as node:
        assert await ended(node) is TaskState.ERROR
        assert node.task_id is not None
        assert isinstance(node.tasks.status(node.task_id).error, OnionServiceFailed)
        async with tor_double(tmp_path, double.port) as again:
            assert await ended(node) is TaskState.OK
            assert len(again.services) == 1
            await node.stop()


async def test_the_passwords_file_is_ours_alone(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("right\n")
    file.chmod(0o644)
    async with tor_double(tmp_path) as double:
        double.methods, double.password = "HASHEDPASSWORD", b"right"
        options = ("--tor-control", f"127.0.0.1:{double.port}", "--tor-control-password-file", str(file))
        async with started(practice(home, *options)) as node:
            assert await ended(node) is TaskState.ERROR
            assert node.task_id is not None
            assert isinstance(node.tasks.status(node.task_id).error, PassphraseFileUnsafe)
            file.chmod(0o600)
            assert await ended(node) is TaskState.OK
            assert len(double.services) == 1


async def test_offline_tor_is_not_asked(home: Path, tmp_path: Path) -> None:
    async with tor_double(tmp_path) as double:
        async with started(practice(home, "--offline", "--tor-control", f"127.0.0.1:{double.port}")) as node:
            assert await ended(node) is TaskState.OK
            assert node.onion_address is None
        assert double.commands == []
