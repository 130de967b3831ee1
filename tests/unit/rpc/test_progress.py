"""`progress` before the reply of what takes long: to whom, when, and in which words."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from core.base.events import ConnectPhase, ConnectProgress, StepChanged, StepState
from core.rpc.commands import progress
from tests.support.peers import turns
from tests.support.raw_peer import RawListener
from tests.unit.rpc.parts import Client, Served, served


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PROGRESS_AFTER_S", 0.0)


async def _notes(client: Client) -> AsyncIterator[dict[str, Any]]:
    """What comes until the reply, and the reply."""
    while True:
        note = json.loads(await client.next() or "")
        yield note
        if "id" in note:
            return


def _connect(peer: RawListener, request_id: object = "mine") -> str:
    params = [peer.node_id.hex(), "127.0.0.1", peer.port]
    return json.dumps({"jsonrpc": "2.0", "id": request_id, "method": "connect", "params": params})


async def test_a_long_connect_tells_its_phases_to_the_client_that_waits(at_once: None) -> None:
    async with served() as rpc, rpc.client() as client, rpc.client() as other, RawListener() as peer:
        await client.result("notifications", {"enable": True})
        await other.result("notifications", {"enable": True})
        await client.send(_connect(peer))
        init = asyncio.create_task(_accept(peer))
        *notes, reply = [note async for note in _notes(client)]
        assert reply["id"] == "mine"
        assert notes
        assert all(note["method"] == "progress" and "id" not in note for note in notes)
        assert notes[-1] == {
            "jsonrpc": "2.0",
            "method": "progress",
            "params": {"id": "mine", "num": 2, "total": 3},
        }
        assert [note["params"]["num"] for note in notes] == sorted({note["params"]["num"] for note in notes})
        await init
        assert (await other.ask("getinfo"))["id"] == "1"
        assert json.loads(await other.next() or "")["method"] == "connect"


async def _accept(peer: RawListener) -> None:
    accepted = await peer.accept()
    await turns(20)  # the zero seconds of what is long must have gone by
    await accepted.exchange_init()


async def test_the_id_stands_as_it_was_written_and_first(at_once: None) -> None:
    async with served() as rpc, rpc.client() as client, RawListener() as peer:
        await client.result("notifications", {"enable": True})
        await client.send(_connect(peer).replace('"mine"', '"a\\u0020b"'))
        init = asyncio.create_task(_accept(peer))
        first = await client.next() or ""
        assert first.startswith('{"jsonrpc":"2.0","method":"progress","params":{"id":"a\\u0020b","num":')
        await init


async def test_pyln_client_is_told_in_messages_since_it_knows_no_other(at_once: None) -> None:
    async with served() as rpc, rpc.client() as client, RawListener() as peer:
        enable = {"jsonrpc": "2.0", "id": "x:connect#1+notify-enable", "method": "notifications"}
        await client.send(json.dumps(enable | {"params": {"enable": True}}))
        await client.next()
        await client.send(_connect(peer))
        init = asyncio.create_task(_accept(peer))
        *notes, _reply = [note async for note in _notes(client)]
        words = f"127.0.0.1:{peer.port}: Exchanging init messages"
        assert notes[-1]["method"] == "message"
        assert notes[-1]["params"] == {"id": "mine", "level": "info", "message": words}
        await init


async def test_who_did_not_ask_is_told_nothing(at_once: None) -> None:
    async with served() as rpc, rpc.client() as client, RawListener() as peer:
        await client.send(_connect(peer))
        init = asyncio.create_task(_accept(peer))
        assert "id" in json.loads(await client.next() or "")
        await init


async def test_who_asks_no_more_is_told_no_more(at_once: None) -> None:
    async with served() as rpc, rpc.client() as client, RawListener() as peer:
        await client.result("notifications", {"enable": True})
        await client.send(_connect(peer))
        accepted = await peer.accept(handshake=False)
        await client.send('{"jsonrpc":"2.0","id":"off","method":"notifications","params":[false]}')
        *_, off = [note async for note in _notes(client)]
        assert off["id"] == "off"
        await accepted.shake_hands()
        await turns(20)
        await accepted.exchange_init()
        assert json.loads(await client.next() or "").get("id") == "mine"


async def test_a_quick_connect_is_answered_without_any_progress() -> None:
    async with served() as rpc, rpc.client() as client, RawListener() as peer:
        await client.result("notifications", {"enable": True})
        await client.send(_connect(peer))
        init = asyncio.create_task(_accept(peer))
        assert "id" in json.loads(await client.next() or "")
        await init


async def test_the_progress_of_another_dial_is_not_told(at_once: None) -> None:
    async with served() as rpc, rpc.client() as client, RawListener() as peer:
        await client.result("notifications", {"enable": True})
        await client.send(_connect(peer))
        accepted = await peer.accept()
        rpc.node.bus.publish(ConnectProgress(bytes(33), "elsewhere", ConnectPhase.DIALLING))
        await turns(20)
        await accepted.exchange_init()
        notes = [note async for note in _notes(client)]
        assert [note["params"]["num"] for note in notes[:-1]].count(0) <= 1


async def test_activation_tells_how_far_it_is() -> None:
    async with served(active=False) as rpc, rpc.client() as client:
        await client.send('{"jsonrpc":"2.0","id":"n","method":"notifications","params":[true]}')
        await client.next()
        _step(rpc, "ActivatingCoin", StepState.RUNNING)
        _step(rpc, "ActivatingCoin", StepState.DONE)
        _step(rpc, "ReadingNetworkGraphFromFile", StepState.RUNNING, 3, 10)
        first, second = [json.loads(await client.next() or "") for _ in range(2)]
        assert first == {"jsonrpc": "2.0", "method": "progress", "params": {"id": "n", "num": 1, "total": 9}}
        assert second["params"] == {"id": "n", "num": 3, "total": 9, "stage": {"num": 3, "total": 10}}


def _step(rpc: Served, status: str, state: StepState, done: int | None = None, total: int | None = None) -> None:
    rpc.node.bus.publish(StepChanged(1, status, state, "", done, total))
