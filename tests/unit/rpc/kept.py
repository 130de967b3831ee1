"""A served node that keeps what it learns: real book, bans and channel records in one database, time under our hand."""

from __future__ import annotations

import asyncio
import contextlib
import random
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from core.base.clock import Clock
from core.bolt.keys import NodeKey
from core.channels.records import ChannelRecord, ChannelRecords, Opener
from core.channels.states import ChannelState
from core.peers.bans import Bans
from core.peers.book import SqlitePeerBook
from core.peers.budget import LoopBudget
from core.peers.manager import PeerManager
from core.peers.values import PeerConfig
from core.rpc.server import RpcServer
from core.storage.database import Database
from tests.support.peers import resolves_nothing
from tests.unit.rpc.parts import Served, SmallNode


@contextlib.asynccontextmanager
async def served_from(
    folder: Path, clock: Clock, *, key: NodeKey | None = None, cln_strict: bool = False
) -> AsyncIterator[Served]:
    """Up with what the database in `folder` holds, services running, saved peers on their way; and down again."""
    database = await Database.open(folder / "leyden.sqlite")
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(database.aclose)
        short = stack.enter_context(tempfile.TemporaryDirectory(prefix="ly"))
        node = SmallNode(Path(short), cln_strict=cln_strict)
        node.clock = clock
        node.key = key or node.key
        node.node_id = node.key.node_id
        book = SqlitePeerBook(database, clock)
        node.channels = await ChannelRecords.open(database, clock)  # type: ignore[assignment]
        node.manager = PeerManager(
            key=node.key,
            network=node.network,
            bus=node.bus,
            clock=clock,
            budget=LoopBudget(),
            book=book,
            channels=node.channels,
            bans=await Bans.open(database, clock),
            config=PeerConfig(cln_strict=cln_strict),
            resolver=resolves_nothing,
            chance=random.Random(3),
        )
        await node.manager.listen(["127.0.0.1:0"])
        server = await RpcServer.start(node, node.paths.socket)
        node.manager.reconnect_saved(await book.saved())
        services = asyncio.create_task(node.manager.run_services())
        try:
            yield Served(node, server)
        finally:
            services.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await services
            await server.aclose()
            await node.manager.aclose(flush_timeout_s=0)


async def put_channel(rpc: Served, node_id: bytes, state: ChannelState) -> None:
    """One channel record, by the only door there is."""
    records = rpc.node.channels
    assert isinstance(records, ChannelRecords)
    await records.put(ChannelRecord(bytes(32), node_id, state, Opener.LOCAL, bytes(32), 0, 100_000))
