"""`trustcertificate` and `Node.trust_certificate`: a pin is forgotten or replaced, for every source of the node."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.chain.errors import CertificateChanged
from core.chain.pins import BY_AUTHORITY, PinStore
from tests.unit.rpc.parts import served
from tests.unit.test_node import practice, started


async def test_a_server_is_forgotten_once() -> None:
    async with served() as rpc, rpc.client() as client:
        assert await client.result("trustcertificate", ["known.test:50002"]) == {"forgotten": True}
        assert await client.result("trustcertificate", ["known.test:50002"]) == {"forgotten": False}


@pytest.mark.parametrize("server", ["", "known.test", "known.test:0", "known.test:x", "a b:1", "::1:50002"])
async def test_a_server_has_a_host_and_a_port(server: str) -> None:
    async with served() as rpc, rpc.client() as client:
        code, text = await client.error("trustcertificate", [server])
        assert (code, text.startswith("server: should be a server such as")) == (-32602, True)


@pytest.mark.parametrize("fingerprint", ["ab", "zz" * 32, "ab" * 33])
async def test_a_fingerprint_is_a_sha_256(fingerprint: str) -> None:
    async with served() as rpc, rpc.client() as client:
        code, text = await client.error("trustcertificate", ["known.test:50002", fingerprint])
        assert (code, text.startswith("fingerprint: should be the SHA-256")) == (-32602, True)


async def test_the_node_forgets_what_it_remembered_and_keeps_the_rest(home: Path) -> None:
    settings = practice(home)
    path = settings.paths.folder / "electrum-certificates.json"
    async with started(settings) as node:
        pins = await PinStore.open(path)
        for host in ("a.test", "b.test"):
            await pins.remember(host, 50002, bytes(32))
        await pins.remember("::1", 50002, BY_AUTHORITY)
        changed = [
            CertificateChanged(host=host, port=50002, expected=bytes(32), found=bytes(32)).server
            for host in ("a.test", "::1")
        ]
        assert [await node.trust_certificate(server) for server in changed] == [True, True]
        assert not await node.trust_certificate("a.test:50002:s")
        with pytest.raises(ValueError, match="port"):
            await node.trust_certificate("a.test:x")
        assert await node.trust_certificate("b.test:50002", bytes.fromhex("ab" * 32))
    kept = await PinStore.open(path)
    assert [kept.get(host, 50002) for host in ("a.test", "b.test", "::1")] == [
        None,
        bytes.fromhex("ab" * 32),
        None,
    ]
