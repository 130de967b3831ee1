"""`mmrpcbans` and `mmrpcunban`: who guessed at mmrpc's password is listed, and heard again."""

from __future__ import annotations

from core.rpc.mmrpc.guard import ATTEMPTS
from tests.unit.rpc.parts import served


async def test_a_ban_is_listed_and_lifted_one_or_all() -> None:
    async with served(active=False) as rpc, rpc.client() as client:
        assert await client.result("mmrpcbans") == {"addresses": []}
        for address in ("127.0.0.1", "127.0.0.2", "::1"):
            for _ in range(ATTEMPTS):
                rpc.node.attempts.wrong(address)
        rpc.node.attempts.wrong("127.0.0.3")
        assert await client.result("mmrpcbans") == {"addresses": ["127.0.0.1", "127.0.0.2", "::1"]}
        assert await client.result("mmrpcunban", ["127.0.0.2"]) == {"lifted": ["127.0.0.2"]}
        assert rpc.node.attempts.wrong("127.0.0.2") == ATTEMPTS - 1
        assert await client.result("mmrpcunban") == {"lifted": ["127.0.0.1", "::1"]}
        assert await client.result("mmrpcbans") == {"addresses": []}


async def test_what_is_not_banned_is_told_and_an_address_is_one() -> None:
    async with served() as rpc, rpc.client() as client:
        assert await client.error("mmrpcunban", ["127.0.0.1"]) == (-1, "127.0.0.1 is not banned")
        code, text = await client.error("mmrpcunban", ["localhost"])
        assert (code, text) == (-32602, "address: should be an IP address: invalid token (see logs for details)")
