"""Peers on a socket of this computer: dialled and listened on by path."""

from __future__ import annotations

import errno
import os
import socket
import stat
from pathlib import Path

import pytest

from core.peers.errors import AllAddressesFailed, ListenFailed
from core.rpc.commands.shapes import address_object
from core.rpc.errors import to_rpc_error
from tests.support.peers import node, until


async def test_a_peer_is_reached_by_path_and_comes_back_by_it(tmp_path: Path) -> None:
    path = str(tmp_path / "node.sock")
    async with node(listen=False) as a, node(listen=False) as b:
        (bound,) = await b.manager.listen([path])
        assert address_object(bound) == {"type": "local socket", "socket": path}
        info = await a.manager.connect(b.node_id, path)
        assert address_object(info.address) == {"type": "local socket", "socket": path}
        await until(lambda: b.manager.peer(a.node_id) is not None)
        (coming,) = b.manager.peers()
        assert address_object(coming.address) == {"type": "local socket", "socket": ""}
        assert info.remote_addr is None
        await a.manager.disconnect(b.node_id)
        await until(lambda: a.book.kept.get(b.node_id))
        assert (await a.manager.connect(b.node_id)).address == info.address


async def test_a_socket_is_for_its_owner_alone_and_goes_with_the_node(tmp_path: Path) -> None:
    path = tmp_path / "node.sock"
    async with node(listen=False) as a:
        await a.manager.listen([str(path), "127.0.0.1:0"])
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert [address.kind.value for address in a.manager.bound] == ["local socket", "ipv4"]
    assert not path.exists()


async def test_a_socket_that_a_dead_program_left_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "node.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    async with node(listen=False) as a, node(listen=False) as b:
        await b.manager.listen([str(path)])
        await a.manager.connect(b.node_id, str(path))


async def test_a_socket_that_is_in_use_and_a_file_are_left_alone(tmp_path: Path) -> None:
    path, file = tmp_path / "node.sock", tmp_path / "file"
    file.write_text("mine")
    async with node(listen=False) as a, node(listen=False) as b, node(listen=False) as c:
        await b.manager.listen([str(path)])
        for taken in (path, file):
            with pytest.raises(ListenFailed) as caught:
                await c.manager.listen([str(taken)])
            assert (caught.value.address, caught.value.errno) == (str(taken), errno.EADDRINUSE)
        await a.manager.connect(b.node_id, str(path))
        assert file.read_text() == "mine"


async def test_what_was_put_in_its_place_stays(tmp_path: Path) -> None:
    path = tmp_path / "node.sock"
    async with node(listen=False) as a:
        await a.manager.listen([str(path)])
        os.rename(path, tmp_path / "moved")
        path.write_text("other")
    assert path.read_text() == "other"


async def test_when_a_later_bind_fails_no_socket_is_left(tmp_path: Path) -> None:
    path = tmp_path / "node.sock"
    async with node(listen=False) as a:
        for second in ("no address", str(tmp_path / "no" / "folder.sock"), "/" + "x" * 107):
            with pytest.raises(ListenFailed):
                await a.manager.listen([str(path), second])
            assert not path.exists() and a.manager.bound == ()


async def test_a_path_where_nobody_listens(tmp_path: Path) -> None:
    path = tmp_path / "none.sock"
    async with node(listen=False) as a, node(listen=False) as b:
        with pytest.raises(AllAddressesFailed) as caught:
            await a.manager.connect(b.node_id, str(path))
        assert to_rpc_error(caught.value).message == (
            f"All addresses failed: {path}: Connection establishment: No such file or directory. "
        )
