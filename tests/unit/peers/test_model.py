"""Whatever is done in whatever order, the manager knows the peers that a model of one page says it has."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from core.base.errors import LeydenError
from core.base.events import CustomMessage, Direction, EventBus, PeerConnected, PeerDisconnected
from core.bolt.keys import NodeKey
from core.bolt.networks import NETWORKS
from core.peers.bans import Bans
from core.peers.budget import LoopBudget
from core.peers.errors import (
    AllAddressesFailed,
    Banned,
    CustomPeerNotConnected,
    NoAddressKnown,
    NoSuchPeer,
    NotBanned,
    UnknownPeer,
)
from core.peers.limits import Limits
from core.peers.manager import PeerManager
from core.peers.values import PeerConfig
from tests.support.clock import ManualClock
from tests.support.peers import Book, Channels, until

T_ = TypeVar("T_")
LONGEST_WAIT_S = 4.0
LONG_ENOUGH_S = 12
"""A look a second, the longest wait, its jitter, and a dial."""
CUSTOM = b"\x9c\x41"
A_DAY_S = 86_400


class Node:
    """A manager that can die and come back with the same key, port and memory."""

    def __init__(self, clock: ManualClock, *, ours: bool) -> None:
        self.key, self.clock, self.ours = NodeKey.generate(), clock, ours
        self.book, self.bans = Book(), Bans(clock)
        self.port = 0
        self.received: list[bytes] = []
        self.changes: list[tuple[bytes, bool]] = []
        self._manager: PeerManager | None = None
        self._serving: asyncio.Task[None] | None = None

    @property
    def manager(self) -> PeerManager:
        assert self._manager is not None
        return self._manager

    async def live(self) -> None:
        bus = EventBus()
        self._manager = PeerManager(
            key=self.key,
            network=NETWORKS["regtest"],
            bus=bus,
            clock=self.clock,
            budget=LoopBudget(),
            book=self.book,
            channels=Channels(),
            bans=self.bans,
            config=PeerConfig(reconnect=self.ours, limits=Limits(backoff_max_s=LONGEST_WAIT_S)),
            chance=random.Random(1),
        )
        bus.subscribe(CustomMessage, self._take)
        bus.subscribe(PeerConnected, lambda event: self.changes.append((event.peer_id, True)))
        bus.subscribe(PeerDisconnected, lambda event: self.changes.append((event.peer_id, False)))
        (bound,) = await self.manager.listen([f"127.0.0.1:{self.port}"])
        self.port = bound.port
        if self.ours:
            self.manager.reconnect_saved(await self.book.saved())
            self._serving = asyncio.create_task(self.manager.run_services())

    def _take(self, event: CustomMessage) -> None:
        if event.direction is Direction.IN:
            self.received.append(event.payload)

    async def die(self) -> None:
        manager, self._manager = self._manager, None
        if self._serving is not None:
            self._serving.cancel()
            await asyncio.gather(self._serving, return_exceptions=True)
        if manager is not None:
            await manager.aclose(flush_timeout_s=0)


@dataclass
class Expected:
    """What the model says of one peer."""

    node: Node
    up: bool = True
    linked: bool = False
    banned: bool = False
    kept: bool | None = False
    """Whether we would dial it again; None when a crossing of two dials leaves it open."""
    remembered: bool | None = False
    """Whether we have dialled it with success; None as above."""
    to_them: list[bytes] = field(default_factory=list)

    @property
    def reachable(self) -> bool:
        return self.up and not self.banned


peers = st.sampled_from([0, 1])


class Peers(RuleBasedStateMachine):
    """We and two others; what is done to us and by us, and what comes of it."""

    @initialize()
    def begin(self) -> None:
        self.runner = asyncio.Runner()
        self.trouble: list[dict[str, Any]] = []
        self.runner.get_loop().set_exception_handler(lambda _loop, context: self.trouble.append(context))
        self.clock = ManualClock()
        self.us = Node(self.clock, ours=True)
        self.others = [Expected(Node(self.clock, ours=False)) for _ in range(2)]
        self.to_us: list[bytes] = []
        self.count = 0
        for node in (self.us, *(other.node for other in self.others)):
            self.run(node.live())

    def run(self, work: Coroutine[Any, Any, T_]) -> T_:
        return self.runner.run(work)

    def outcome(self, work: Awaitable[object]) -> type[LeydenError] | None:
        """The error's type, None for success."""

        async def tried() -> type[LeydenError] | None:
            try:
                await work
            except LeydenError as error:
                return type(error)
            return None

        return self.run(tried())

    # -- what is done

    @rule(peer=peers, bare=st.booleans())
    def we_connect(self, peer: int, bare: bool) -> None:
        other = self.others[peer]
        if bare and other.remembered is None and not other.linked:
            return
        where = () if bare else ("127.0.0.1", other.node.port)
        expected: type[LeydenError] | None = None
        if not other.linked:
            if other.banned:
                expected = Banned
            elif bare and not other.remembered:
                expected = NoAddressKnown
            elif not other.up:
                expected = AllAddressesFailed
        assert self.outcome(self.us.manager.connect(other.node.key.node_id, *where)) is expected
        if expected is None:
            info = self.us.manager.peer(other.node.key.node_id)
            assert info is not None
            assert other.linked or info.direction is Direction.OUT
            if info.direction is Direction.OUT:
                other.kept = other.remembered = True
            other.linked = True

    @rule(peer=peers)
    def they_connect(self, peer: int) -> None:
        other = self.others[peer]
        if other.up:
            refused = AllAddressesFailed if other.banned and not other.linked else None
            work = other.node.manager.connect(self.us.key.node_id, "127.0.0.1", self.us.port)
            assert self.outcome(work) is refused
            other.linked = refused is None

    @rule(peer=peers)
    def both_dial(self, peer: int) -> None:
        other = self.others[peer]
        if not other.reachable or other.linked:
            return

        async def cross() -> None:
            await asyncio.gather(
                self.us.manager.connect(other.node.key.node_id, "127.0.0.1", other.node.port),
                other.node.manager.connect(self.us.key.node_id, "127.0.0.1", self.us.port),
            )

        self.run(cross())
        other.linked = True
        other.kept = other.kept or None
        other.remembered = other.remembered or None
        self.time_passes()  # the elder of two connections may be kept for 5 s

    @rule(peer=peers)
    def we_disconnect(self, peer: int) -> None:
        other = self.others[peer]
        expected = None if other.linked else UnknownPeer
        assert self.outcome(self.us.manager.disconnect(other.node.key.node_id)) is expected
        if expected is None:
            other.linked, other.kept = False, False

    @rule(peer=peers)
    def they_disconnect(self, peer: int) -> None:
        other = self.others[peer]
        if other.up:
            expected = None if other.linked else UnknownPeer
            assert self.outcome(other.node.manager.disconnect(self.us.key.node_id)) is expected
            other.linked = False

    @rule(peer=peers)
    def they_die(self, peer: int) -> None:
        other = self.others[peer]
        self.run(other.node.die())
        other.up = other.linked = False

    @precondition(lambda self: not all(other.up for other in self.others))
    @rule()
    def they_come_back(self) -> None:
        for other in self.others:
            if not other.up:
                self.run(other.node.live())
                other.up = True

    @rule()
    def we_restart(self) -> None:
        self.run(self.us.die())
        self.us.changes.clear()
        for other in self.others:
            self.run(self.gone(other))
            other.linked = False
            other.remembered = other.kept = bool(self.us.book.kept.get(other.node.key.node_id))
        self.run(self.us.live())
        self.time_passes()

    @rule()
    def time_passes(self) -> None:
        """Whoever is kept and can be reached comes back, and nobody else."""
        unsure = [other for other in self.others if other.kept is None and not other.linked and other.reachable]
        for other in self.others:
            other.linked = other.linked or bool(other.kept and other.reachable)
        self.run(self.clock.advance(LONG_ENOUGH_S))
        for other in unsure:
            other.linked = self.us.manager.peer(other.node.key.node_id) is not None

    @rule(peer=peers)
    def we_ban(self, peer: int) -> None:
        other = self.others[peer]
        self.run(self.us.manager.ban(other.node.key.node_id.hex(), self.clock.time() + A_DAY_S))
        other.banned, other.linked, other.kept = True, False, False

    @rule(peer=peers)
    def we_lift_the_ban(self, peer: int) -> None:
        other = self.others[peer]
        expected = None if other.banned else NotBanned
        assert self.outcome(self.us.bans.lift(other.node.key.node_id.hex())) is expected
        other.banned = False

    @rule(peer=peers, count=st.integers(1, 5), from_them=st.booleans())
    def messages_pass(self, peer: int, count: int, from_them: bool) -> None:
        other = self.others[peer]
        sender, receiver = (other.node, self.us) if from_them else (self.us, other.node)
        for _ in range(count if other.up or not from_them else 0):
            self.count += 1
            payload = self.count.to_bytes(4, "big")
            try:
                sender.manager.send_custom(receiver.key.node_id, CUSTOM + payload)
            except (NoSuchPeer, CustomPeerNotConnected):
                assert not other.linked
            else:
                assert other.linked
                (self.to_us if from_them else other.to_them).append(payload)

    # -- what must hold

    async def gone(self, other: Expected) -> None:
        if other.up:
            await until(lambda: not other.node.manager.peers())

    @invariant()
    def the_model_holds(self) -> None:
        async def settled() -> None:
            await until(self.as_expected)

        try:
            self.run(settled())
        except TimeoutError:
            have = {peer.node_id.hex()[:8] for peer in self.us.manager.peers()}
            raise AssertionError(f"we have {have}; expected {self.others}") from None
        assert not self.trouble
        for other in self.others:
            told = [there for peer_id, there in self.us.changes if peer_id == other.node.key.node_id]
            assert told == [place % 2 == 0 for place in range(len(told))]

    def as_expected(self) -> bool:
        linked = {other.node.key.node_id for other in self.others if other.linked}
        if self.us.received != self.to_us:
            return False
        return {peer.node_id for peer in self.us.manager.peers()} == linked and all(
            (other.node.manager.peer(self.us.key.node_id) is not None) == other.linked
            and other.node.received == other.to_them
            for other in self.others
            if other.up
        )

    def teardown(self) -> None:
        for other in self.others:
            self.run(other.node.die())
        self.run(self.us.die())
        self.runner.close()
        assert not self.trouble


TestPeers = Peers.TestCase
# Each failing try waits for its full deadline, so a failure is shown as it was found rather than made smaller.
TestPeers.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None, phases=[Phase.reuse, Phase.generate]
)
