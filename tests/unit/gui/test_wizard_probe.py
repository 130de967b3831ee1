"""What the network page tries: a source that is there or not, and a port."""

from __future__ import annotations

import socket

import pytest

from core.base.clock import SystemClock
from core.base.settings import Settings
from core.chain.errors import ChainUnavailable
from core.peers.errors import ListenFailed
from gui.wizard.machine import ChainKind, Entries
from gui.wizard.probe import chain_probe, port_probe


async def test_the_embedded_chain_says_its_tip() -> None:
    probe = chain_probe(SystemClock(), Settings(network="regtest"))
    assert "height 0" in await probe(Entries(network="regtest", chain=ChainKind.EMBEDDED))


async def test_a_server_that_is_not_there_is_an_error_with_words() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        server = f"127.0.0.1:{closed.getsockname()[1]}:t"
        probe = chain_probe(SystemClock(), Settings(network="regtest"))
        with pytest.raises(ChainUnavailable):
            await probe(Entries(network="regtest", chain=ChainKind.ELECTRUM, servers=(server,)))


async def test_a_port_in_use_is_told_apart_from_a_free_one() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ListenFailed) as caught:
            await port_probe(port, "127.0.0.1")
        assert caught.value.errno
    await port_probe(port, "127.0.0.1")
