"""Which chain source serves which network."""

from __future__ import annotations

from pathlib import Path

from core.base.clock import Clock
from core.base.events import EventBus
from core.bolt.networks import Network
from core.chain.errors import ChainUnavailable, NoChainSource
from core.chain.headers import double_sha256
from core.chain.regtest import RegtestChain
from core.chain.source import ChainSource


async def open_chain(network: Network, path: Path | None, bus: EventBus, clock: Clock) -> ChainSource:
    """The source for `network`; regtest has the embedded chain, kept in `path` (None: in memory).

    Raises NoChainSource, ChainDamaged, ProfileUnusable.
    """
    if network.name != RegtestChain.network.name:
        raise NoChainSource(network=network.name)
    return await RegtestChain.open(path, bus, clock)


async def check_network(source: ChainSource, network: Network) -> None:
    """Whether the source follows `network`, by its genesis block. Raises ChainUnavailable."""
    genesis_hash = double_sha256(await source.header(0))
    if genesis_hash != network.chain_hash:
        reason = f"it follows another chain than {network.name}: genesis block {genesis_hash[::-1].hex()}"
        raise ChainUnavailable(reason=reason)
