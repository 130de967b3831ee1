"""Which chain source serves which network."""

from __future__ import annotations

from pathlib import Path

from core.base.clock import Clock
from core.base.events import EventBus
from core.bolt.networks import Network
from core.chain.errors import NoChainSource
from core.chain.regtest import RegtestChain
from core.chain.source import ChainSource


async def open_chain(network: Network, path: Path | None, bus: EventBus, clock: Clock) -> ChainSource:
    """The source for `network`; regtest has the embedded chain, kept in `path` (None: in memory).

    Raises NoChainSource, ChainDamaged, ProfileUnusable.
    """
    if network.name != RegtestChain.network.name:
        raise NoChainSource(network=network.name)
    return await RegtestChain.open(path, bus, clock)
