"""A connection to an Electrum server, where asyncio itself is at fault."""

from __future__ import annotations

from core.chain.electrum_link import _Session


class _Gone:
    """A transport as early Pythons 3.11 have it once its TLS connection is gone."""

    def __init__(self) -> None:
        self.aborts = 0

    async def abort(self) -> None:
        self.aborts += 1
        raise AttributeError("'NoneType' object has no attribute '_abort'")


async def test_aborting_a_tls_connection_that_is_gone_is_no_error() -> None:
    session = _Session.__new__(_Session)
    session.transport = _Gone()
    await session.abort()
    assert session.transport.aborts == 1
