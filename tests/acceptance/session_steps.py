"""The steps of the recorded session, in order: what is done, what must be answered, what the other side must have seen.

Each fails by AssertionError. What a step leaves behind is where the next one begins.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.channels.states import ChannelState
from tests.acceptance.channel_records import put_channels
from tests.acceptance.checks import CUSTOM, SENT, custom, received_of
from tests.acceptance.program import InstalledLeyden
from tests.acceptance.session_record import Record
from tests.counterparts import Electrum, Ldk

OPTIONS = ("--keystore", "file", "--passphrase-file")
STATE = ChannelState.CHANNELD_NORMAL
_FAILED = 1
_WAIT_S = 15.0


@dataclass
class Session:
    """Who takes part."""

    record: Record
    leyden: InstalledLeyden
    ldk: Ldk
    electrum: Electrum

    async def cli(self, *arguments: str) -> tuple[int, Any]:
        return await self.record.cli(self.leyden, *arguments)

    async def ldk_saw(self, since: int, event: str, **facts: Any) -> None:
        await self.record.saw(self.ldk, since=since, event=event, **facts)

    async def electrum_saw(self, since: int, event: str, **facts: Any) -> None:
        await self.record.saw(self.electrum, since=since, event=event, **facts)

    @property
    def us(self) -> str:
        return self.leyden.node_id.hex()

    @property
    def ldk_id(self) -> str:
        return self.ldk.node_id.hex()

    @property
    def electrum_id(self) -> str:
        return self.electrum.node_id.hex()


Step = Callable[[Session], Awaitable[None]]
STEPS: dict[str, Step] = {}


def step(function: Step) -> Step:
    STEPS[function.__name__] = function
    return function


async def start_leyden(folder: Path) -> InstalledLeyden:
    """With a key in a file, so that it is the same node after a restart."""
    folder.mkdir(parents=True, exist_ok=True)
    passphrase = folder / "passphrase"
    if not passphrase.exists():
        passphrase.touch(mode=0o600)
        passphrase.write_text("of the recorded session\n")
    return await InstalledLeyden.start(folder, *OPTIONS, str(passphrase))


@step
async def connect_to_ldk_and_electrum(session: Session) -> None:
    """`connect`, in two of its forms."""
    ldk, electrum = session.ldk, session.electrum
    marks = ldk.mark, electrum.mark
    code, answer = await session.cli("connect", f"{session.ldk_id}@127.0.0.1:{ldk.port}")
    assert code == 0, answer
    assert answer["id"] == session.ldk_id
    assert answer["direction"] == "out"
    assert answer["address"] == {"type": "ipv4", "address": "127.0.0.1", "port": ldk.port}
    await session.ldk_saw(marks[0], "init", node_id=session.us, inbound=True)
    code, answer = await session.cli("connect", session.electrum_id, "127.0.0.1", str(electrum.port))
    assert code == 0, answer
    await session.electrum_saw(marks[1], "handshake", who=lambda who: who.startswith(session.us))
    await session.electrum_saw(marks[1], "init", peer=session.us[:10])


@step
async def custom_messages_both_ways(session: Session) -> None:
    """`sendcustommsg`; what comes back is in `listcustommsgs`. Electrum sends none, and names only the type of ours."""
    marks = session.ldk.mark, session.electrum.mark
    assert await session.cli("sendcustommsg", session.ldk_id, custom(b"hello")) == (0, SENT)
    await session.ldk_saw(marks[0], "message", node_id=session.us, type=CUSTOM, payload=b"hello".hex())
    session.record.told(f"send a custom message of type {CUSTOM + 2} with the payload {b'and back'.hex()}", session.ldk)
    await session.ldk.send(session.leyden.node_id, CUSTOM + 2, b"and back")
    assert await received_of(session.leyden, session.ldk.node_id, CUSTOM + 2) == [custom(b"and back", CUSTOM + 2)]
    await session.cli("listcustommsgs")
    assert await session.cli("sendcustommsg", session.electrum_id, custom(b"hello")) == (0, SENT)
    await session.electrum_saw(marks[1], "message", peer=session.us[:10], type=CUSTOM)


@step
async def ping_and_pong_with_electrum(session: Session) -> None:
    """Electrum's log holds both: it is started so that it logs them."""
    mark = session.electrum.mark
    assert await session.cli("ping", session.electrum_id, "10", "1000") == (0, {"totlen": 1004})
    await session.electrum_saw(mark, "heard", peer=session.us[:10], what="PING")
    await session.electrum_saw(mark, "said", peer=session.us[:10], what="PONG")


@step
async def saved_peers_come_back_after_our_restart(session: Session) -> None:
    """SIGTERM; while no node holds the profile `ChannelRecords` is given a channel with LDK; the same node again."""
    marks, before = (session.ldk.mark, session.electrum.mark), session.us
    await session.leyden.stop()
    assert session.leyden.exit_code == 0
    session.record.text(f"`leyden --headless` ends with code {session.leyden.exit_code} after SIGTERM.")
    await session.ldk_saw(marks[0], "disconnected", node_id=before)
    await session.electrum_saw(marks[1], "closed", peer=before[:10])
    await put_channels(session.leyden.data_dir / "regtest", {session.ldk.node_id: STATE})
    session.record.text(f"A channel record with LDK in {STATE} is put by `ChannelRecords`; `leyden` starts again.")
    marks = session.ldk.mark, session.electrum.mark
    session.leyden = await start_leyden(session.leyden.folder)
    assert session.us == before
    await session.ldk_saw(marks[0], "init", node_id=before, inbound=True)
    await session.electrum_saw(marks[1], "init", peer=before[:10])
    async with asyncio.timeout(_WAIT_S):
        while (await session.leyden.call("getinfo"))["num_peers"] < 2:
            await asyncio.sleep(0.01)
    _, answer = await session.cli("listpeers")
    assert {row["id"]: row["num_channels"] for row in answer["peers"]} == {session.ldk_id: 1, session.electrum_id: 0}
    assert all(row["connected"] for row in answer["peers"])


@step
async def disconnect_from_electrum(session: Session) -> None:
    """There is no channel with it, so it goes at the first word."""
    mark = session.electrum.mark
    assert await session.cli("disconnect", session.electrum_id) == (0, {})
    await session.electrum_saw(mark, "closed", peer=session.us[:10])
    assert await session.electrum.peers() == []
    code, answer = await session.cli("disconnect", session.electrum_id)
    refusal = {"code": -32602, "message": f"Unknown peer '{session.electrum_id}'"}
    assert (code, answer) == (_FAILED, refusal), answer


@step
async def disconnect_is_refused_while_there_is_a_channel(session: Session) -> None:
    """The refusal names the state; the connection stands, and messages pass in every state."""
    mark = session.ldk.mark
    refusal = {"code": -1, "message": f"Peer has (at least one) channel in state {STATE}"}
    assert await session.cli("disconnect", session.ldk_id) == (_FAILED, refusal)
    assert await session.cli("sendcustommsg", session.ldk_id, custom(b"still there")) == (0, SENT)
    await session.ldk_saw(mark, "message", node_id=session.us, payload=b"still there".hex())
    assert not session.ldk.seen(since=mark, event="disconnected")


@step
async def disconnect_by_force(session: Session) -> None:
    """It goes although there is a channel, is not dialled by itself, and stays known by the channel."""
    mark = session.ldk.mark
    assert await session.cli("disconnect", session.ldk_id, "true") == (0, {})
    await session.ldk_saw(mark, "disconnected", node_id=session.us)
    code, answer = await session.cli("listsavedpeers", session.ldk_id)
    assert code == 0
    assert "next_attempt_in" not in answer["savedpeers"][0], answer
    refusal = {"code": -1, "message": "Peer not connected"}
    assert await session.cli("disconnect", session.ldk_id) == (_FAILED, refusal)


@step
async def connect_to_a_known_peer_by_its_id_alone(session: Session) -> None:
    """The address is the one that worked before."""
    mark = session.ldk.mark
    code, answer = await session.cli("connect", session.ldk_id)
    assert code == 0, answer
    assert answer["address"]["port"] == session.ldk.port
    await session.ldk_saw(mark, "init", node_id=session.us, inbound=True)


@step
async def a_ban_ends_the_connection(session: Session) -> None:
    """A current channel makes it refuse as `disconnect` does; with force the peer goes."""
    mark = session.ldk.mark
    refusal = {"code": -1, "message": f"Peer has (at least one) channel in state {STATE}"}
    assert await session.cli("setban", session.ldk_id, "10") == (_FAILED, refusal)
    code, answer = await session.cli("-k", "setban", f"subject={session.ldk_id}", "minutes=10", "force=true")
    assert code == 0, answer
    assert answer["subject"] == session.ldk_id
    await session.ldk_saw(mark, "disconnected", node_id=session.us)
    _, listed = await session.cli("listbans")
    assert [ban["subject"] for ban in listed["bans"]] == [session.ldk_id]


@step
async def a_banned_peer_is_not_dialled(session: Session) -> None:
    """`connect` says until when, and LDK's log holds no new connection."""
    mark = session.ldk.mark
    code, answer = await session.cli("connect", f"{session.ldk_id}@127.0.0.1:{session.ldk.port}")
    assert code == _FAILED, answer
    assert answer["code"] == -1
    assert answer["message"].startswith(f"{session.ldk_id} is banned until "), answer
    assert not session.ldk.seen(since=mark, event="socket open")
    session.record.text("LDK's log holds no new connection.")


@step
async def a_banned_peer_is_not_let_in(session: Session) -> None:
    """It dials us, and we hang up as soon as it has said who it is."""
    mark = session.ldk.mark
    session.record.told("connect to us", session.ldk)
    await session.ldk.connect(session.leyden.node_id, session.leyden.port)
    await session.ldk_saw(mark, "socket open", inbound=False)
    await session.ldk_saw(mark, "socket closed", inbound=False, closed_by=lambda who: who != "LDK")
    assert not session.ldk.seen(since=mark, event="init")
    _, answer = await session.cli("listpeers", session.ldk_id)
    assert [row["connected"] for row in answer["peers"]] == [False]


@step
async def without_the_ban_it_may_come_again(session: Session) -> None:
    """`setban ID 0` lifts it."""
    mark = session.ldk.mark
    assert await session.cli("setban", session.ldk_id, "0") == (0, {})
    session.record.told("connect to us", session.ldk)
    await session.ldk.connect(session.leyden.node_id, session.leyden.port)
    await session.ldk_saw(mark, "init", node_id=session.us, inbound=False)
    code, answer = await session.cli("connect", session.ldk_id)
    assert (code, answer["direction"]) == (0, "in"), answer
