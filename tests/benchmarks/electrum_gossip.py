"""The anchor of gossip: Electrum's ChannelDB as Debian's `electrum` package brings it, fed as its `LNGossip` feeds it.

Run as a program for one figure: Electrum's settings are the process's own. Nothing of it is part of Leyden.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.benchmarks import electrum
from tests.support.network import Network, make_network

_AT_ONCE = 250
"""Channels that are taken in together, with their updates; so many nodes too. Electrum queries 500 ids at once."""
_POLL_S = 0.02


def is_there() -> bool:
    return (electrum.PACKAGES / "electrum" / "channel_db.py").exists()


def _open(folder: Path) -> Any:
    """A ChannelDB in `folder`, for the running loop."""
    from electrum import channel_db, constants, util  # type: ignore[import-not-found]

    constants.set_regtest()
    util._asyncio_event_loop = asyncio.get_running_loop()
    channel_db.LNChannelVerifier = lambda *_: None  # asks servers about channels that are not trusted; these are
    config = SimpleNamespace(path=str(folder))
    return channel_db.ChannelDB(SimpleNamespace(asyncio_loop=asyncio.get_running_loop(), config=config))


async def _close(db: Any) -> None:
    """Once everything is in the file: its own stop leaves out what still waits."""
    while not db.db_requests.empty():
        await asyncio.sleep(_POLL_S)
    db.stop()
    await db.stopped_event.wait()


def _decoded(message: bytes) -> dict[str, Any]:
    from electrum.lnmsg import decode_msg  # type: ignore[import-not-found]

    payload: dict[str, Any] = decode_msg(message)[1]
    payload["raw"] = message
    return payload


def _take_channels(db: Any, announcements: list[dict[str, Any]], updates: list[dict[str, Any]]) -> None:
    for payload in announcements:
        db.verify_channel_announcement(payload)
    db.add_channel_announcements(announcements)
    assert len(db.add_channel_updates(updates).good) == len(updates)


def _take_nodes(db: Any, nodes: list[dict[str, Any]]) -> None:
    for payload in nodes:
        db.verify_node_announcement(payload)
    db.add_node_announcements(nodes)


async def ingest(network: Network, folder: Path) -> None:
    db = _open(folder)
    db.data_loaded.set()
    for first in range(0, len(network.channel_announcements), _AT_ONCE):
        announcements = list(map(_decoded, network.channel_announcements[first : first + _AT_ONCE]))
        updates = list(map(_decoded, network.channel_updates[2 * first : 2 * (first + _AT_ONCE)]))
        await asyncio.to_thread(_take_channels, db, announcements, updates)
    for first in range(0, len(network.node_announcements), _AT_ONCE):
        nodes = list(map(_decoded, network.node_announcements[first : first + _AT_ONCE]))
        await asyncio.to_thread(_take_nodes, db, nodes)
    _assert_whole(db, network)
    await _close(db)


async def reload(network: Network, folder: Path) -> None:
    db = _open(folder)
    await db.load_data()
    await db.data_loaded.wait()
    _assert_whole(db, network)
    await _close(db)


def _assert_whole(db: Any, network: Network) -> None:
    there = (len(db._channels), len(db._policies), len(db._nodes))
    assert there == tuple(
        map(len, (network.channel_announcements, network.channel_updates, network.node_announcements))
    )


def main() -> None:
    """Arguments: ingest or reload, folder, channels, the network's day. Prints seconds by the clock and processor's."""
    what, folder, channels, now_s = sys.argv[1:]
    assert electrum.load() is not None
    importlib.import_module("electrum.channel_db")  # importing it is no part of the figure
    network = make_network(seed=1, channels=int(channels), now_s=int(now_s))
    work = {"ingest": ingest, "reload": reload}[what]
    began, before = time.perf_counter(), time.process_time()
    asyncio.run(work(network, Path(folder)))
    print(json.dumps([time.perf_counter() - began, time.process_time() - before]))


if __name__ == "__main__":
    main()
