"""Which chain source serves which network."""

from __future__ import annotations

from pathlib import Path

from core.base.clock import Clock
from core.base.events import EventBus
from core.bolt.networks import Network
from core.chain.errors import ChainUnavailable, NoChainSource
from core.chain.headers import double_sha256
from core.chain.kernel import KernelChain
from core.chain.kernel_engine import KernelMissing
from core.chain.regtest import RegtestChain
from core.chain.source import ChainSource

KERNEL_FOLDER = "chainstate"
"""Beside the header chain's file."""


async def open_chain(network: Network, path: Path | None, bus: EventBus, clock: Clock) -> ChainSource:
    """The embedded source for `network`, which regtest alone has.

    It is Bitcoin Core's kernel, kept in a folder beside `path`; where that does not run, headers alone, kept in `path`.
    None keeps either in memory. Raises NoChainSource, ChainDamaged, ChainUnavailable, ProfileUnusable.
    """
    if network.name != RegtestChain.network.name:
        raise NoChainSource(network=network.name)
    try:
        return await KernelChain.open(path and path.with_name(KERNEL_FOLDER), bus, clock)
    except KernelMissing:
        return await RegtestChain.open(path, bus, clock)


async def check_network(source: ChainSource, network: Network) -> None:
    """Whether the source follows `network`, by its genesis block. Raises ChainUnavailable."""
    genesis_hash = double_sha256(await source.header(0))
    if genesis_hash != network.chain_hash:
        reason = f"it follows another chain than {network.name}: genesis block {genesis_hash[::-1].hex()}"
        raise ChainUnavailable(reason=reason)
