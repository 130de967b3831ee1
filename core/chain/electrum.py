"""Electrum servers as the source of a chain.

Every server of the list is connected to and tells of its tip. What one claims counts once its headers are checked and
weigh more than what is known; requests go to a server that has the best chain, in the order of the list, and to the
next one when it fails. A server that lied, follows another network or changed its certificate is not asked again.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from core.base.clock import Clock
from core.base.events import EventBus
from core.base.finish import finish
from core.bolt.networks import Network
from core.chain.electrum_link import Dial, ElectrumLink
from core.chain.electrum_protocol import (
    BadAnswer,
    ElectrumServer,
    TipClaim,
    parse_server,
    read_fee,
    read_hash,
    read_headers,
    read_position,
    read_transaction,
    read_unspent,
)
from core.chain.electrum_sync import Progress, fetch_branch
from core.chain.errors import (
    AllServersFailed,
    CertificateChanged,
    ChainUnavailable,
    ServerBehind,
    ServerFailed,
    ServerLied,
    ServerRefused,
    ServerUnreachable,
    WrongChain,
)
from core.chain.headers import HeaderRefused, double_sha256
from core.chain.light_headers import RULES, Header, HeaderWindow, merkle_root_of
from core.chain.pins import PinStore
from core.chain.source import Bears, Capability, ChainReorganised, Tip, TipChanged, UnspentOutput
from core.chain.transactions import Transaction, TransactionRefused, parse_transaction

__all__ = ["Dial", "ElectrumServer", "ElectrumSource", "PinStore", "Progress", "parse_server"]

QUIET_S = 60.0
"""A server that tells nothing for so long is asked whether it is there."""
FIRST_RETRY_S = 1.0
LONGEST_RETRY_S = 60.0
OTHERS_S = 3.0
"""How long opening waits for further servers once one of them is ready."""
BEHIND_BLOCKS = 2
"""Blocks that a server may lack without being called behind: the newest take a moment to get round."""
_NO_POSITION = re.compile(r"at position|out of range", re.IGNORECASE)
_NO_TRANSACTION = re.compile(r"no such|not found", re.IGNORECASE)
_LASTING = (ServerLied, WrongChain, CertificateChanged)
"""Failures that another try does not mend."""
T = TypeVar("T")


class ElectrumSource:
    """A `ChainSource` over one or several servers; fees, transactions by position and unspent outputs besides."""

    capabilities = frozenset((Capability.FEES, Capability.TX_BY_POSITION, Capability.OUTPUT_UNSPENT, Capability.PROXY))

    bears = Bears(at_once=2, a_second=4.0)
    """A transaction with its output costs five requests; public servers slow down or ban who asks for more."""

    def __init__(
        self,
        servers: Sequence[ElectrumServer],
        network: Network,
        bus: EventBus,
        clock: Clock,
        pins: PinStore,
        dial: Dial | None,
        progress: Progress | None,
    ) -> None:
        self.network = network
        self.failures: dict[ElectrumServer, ChainUnavailable] = {}
        """Why a server is not used at this moment."""
        self._servers = tuple(dict.fromkeys(servers))
        self._bus = bus
        self._clock = clock
        self._pins = pins
        self._dial = dial
        self._progress = progress
        self._links: dict[ElectrumServer, ElectrumLink] = {}
        """Servers that are connected and whose chain was checked."""
        self._heights: dict[ElectrumServer, int] = {}
        self._given_up: dict[ElectrumServer, ServerFailed] = {}
        """Why a connection was closed from here; its task finds only that it is gone."""
        self._window: HeaderWindow | None = None
        self._genesis = b""
        self._syncing = asyncio.Lock()
        self._tried: dict[ElectrumServer, asyncio.Event] = {server: asyncio.Event() for server in self._servers}
        self._tasks: list[asyncio.Task[None]] = []
        self._closed = False

    @classmethod
    async def open(
        cls,
        servers: Sequence[ElectrumServer],
        network: Network,
        bus: EventBus,
        clock: Clock,
        *,
        pins: PinStore,
        dial: Dial | None = None,
        progress: Progress | None = None,
    ) -> ElectrumSource:
        """Connect to all `servers`; ready once one of them has proved its chain and the others had their chance.

        Raises the one server's ServerFailed, AllServersFailed where there are several, ProfileUnusable (the pins).
        """
        source = cls(servers, network, bus, clock, pins, dial, progress)
        if not source._servers:
            raise ChainUnavailable(reason="no Electrum server is set")
        source._tasks = [asyncio.create_task(source._tend(server)) for server in source._servers]
        try:
            await source._first_round()
            if not source._links:
                raise source._failure()
        except BaseException:
            await source.aclose()
            raise
        return source

    @property
    def description(self) -> str:
        names = ", ".join(map(str, self._servers))
        return f"Electrum servers ({names}): headers and their proof of work are checked, scripts are not"

    # -- the required part

    async def tip(self) -> Tip:
        """Asks a server, so that one that stopped answering is found out."""

        async def ask(link: ElectrumLink) -> None:
            await self._judge(link, await link.subscribe())

        await self._first_good(ask)
        return self._known_tip()

    async def header(self, height: int) -> bytes:
        """From what was checked; of blocks before that, the server's word with its proof of work alone."""
        if height == 0 and self._genesis:
            return self._genesis
        window = self._checked_window()
        known = window.at(height)
        if known is not None:
            return known.raw
        if not 0 <= height <= window.height:
            raise ChainUnavailable(reason=f"no block at height {height}")

        async def ask(link: ElectrumLink) -> bytes:
            found = await link.ask(read_headers, "blockchain.block.headers", height, 1, bounds=(1,))
            return link.judge(lambda: _old_header(found, window, height))

        return await self._first_good(ask)

    async def broadcast(self, transaction: bytes) -> bytes:
        """Raises TransactionRefused with the server's words where its node does not take it; ChainUnavailable."""
        parsed = parse_transaction(transaction)

        async def ask(link: ElectrumLink) -> bytes:
            try:
                answer = await link.request("blockchain.transaction.broadcast", transaction.hex())
            except ServerRefused as error:
                raise TransactionRefused(error.reason) from None
            found = link.judge(lambda: read_hash(answer, "its transaction id"))
            return _demand(link, found, found == parsed.txid, "it names another transaction than it was given")

        return await self._first_good(ask)

    async def aclose(self) -> None:
        self._closed = True
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        if tasks:
            await finish(_ended(tasks))

    # -- capabilities

    async def fee_estimate(self, target_blocks: int) -> int | None:
        """As `FeeSource` has it."""
        return await self._first_good(lambda link: link.ask(read_fee, "blockchain.estimatefee", target_blocks))

    async def transaction_at(self, height: int, index: int) -> bytes | None:
        """As `TransactionSource` has it; its place in the block is proved by the block's header."""
        if not 0 <= height <= self._checked_window().height or index < 0:
            return None
        root = Header.read(await self.header(height)).merkle_root

        async def ask(link: ElectrumLink) -> bytes | None:
            method = "blockchain.transaction.id_from_pos"
            try:
                txid, branch = await link.ask(read_position, method, height, index, True)
            except ServerRefused as error:
                if _NO_POSITION.search(error.reason):
                    return None
                raise
            proved = index >> len(branch) == 0 and merkle_root_of(txid, index, branch) == root
            _demand(link, txid, proved, f"its proof of transaction {index} of block {height} does not hold")
            return (await _transaction(link, txid)).raw

        return await self._first_good(ask)

    async def unspent_output(self, txid: bytes, index: int) -> UnspentOutput | None:
        """As `OutputSource` has it; an output that a transaction outside any block spends is taken as spent."""

        async def ask(link: ElectrumLink) -> UnspentOutput | None:
            try:
                outputs = (await _transaction(link, txid)).outputs
            except ServerRefused as error:
                if _NO_TRANSACTION.search(error.reason):
                    return None
                raise
            if index >= len(outputs):
                return None
            output = outputs[index]
            script_hash = _sha256(output.script_pubkey)[::-1].hex()
            method = "blockchain.scripthash.listunspent"
            found = await link.ask(read_unspent, method, script_hash, bounds=(txid, index))
            if found is None:
                return None
            height, amount = found
            _demand(link, found, amount == output.amount_sat, "it gives an output another amount than its transaction")
            return UnspentOutput(output.amount_sat, output.script_pubkey, height)

        return await self._first_good(ask)

    # -- servers

    async def _tend(self, server: ElectrumServer) -> None:
        """Keep one server connected, for as long as another try makes sense."""
        pause = FIRST_RETRY_S
        while True:
            try:
                await self._serve(server)
            except ServerFailed as error:
                cause = self._given_up.pop(server, error)
                self.failures[server] = cause
                if isinstance(cause, _LASTING):
                    return
                pause = FIRST_RETRY_S if server in self._heights else min(pause * 2, LONGEST_RETRY_S)
            finally:
                self._heights.pop(server, None)
                self._tried[server].set()
            await self._clock.sleep(pause)

    async def _serve(self, server: ElectrumServer) -> None:
        """One connection from its beginning to its end, which is always an error."""
        link = await ElectrumLink.open(server, self._clock, self._pins, self._dial)
        try:
            await self._check_genesis(link)
            await self._judge(link, await link.subscribe())
            self._links[server] = link
            self._tried[server].set()
            while True:
                claim = await link.next_tip(QUIET_S)
                if claim is None:
                    await link.request("server.ping")
                else:
                    await self._judge(link, claim)
        finally:
            self._links.pop(server, None)
            await link.aclose()

    async def _check_genesis(self, link: ElectrumLink) -> None:
        headers = await link.ask(read_headers, "blockchain.block.headers", 0, 1, bounds=(1,))
        found = double_sha256(b"".join(headers))
        if found != self.network.chain_hash:
            raise WrongChain(server=str(link.server), genesis=found)
        self._genesis = headers[0]

    async def _judge(self, link: ElectrumLink, claim: TipClaim) -> None:
        """Check what a server claims, and follow it when it proves more work than is known."""
        if self._window is None:
            # The long fetch once, not once a server; later on, a slow server must not keep the others waiting.
            async with self._syncing:
                await self._weigh(link, claim)
        else:
            await self._weigh(link, claim)
        self._heights[link.server] = claim.height
        self._compare()

    async def _weigh(self, link: ElectrumLink, claim: TipClaim) -> None:
        while True:
            known = self._window
            branch = await fetch_branch(link, claim, known, RULES[self.network.name], self._progress)
            if self._window is known:
                break
        if branch is not None:
            shared = branch.fork_height
            if known is None or branch.window.work_above(shared) > known.work_above(shared):
                self._follow(branch.window, shared)

    def _follow(self, window: HeaderWindow, fork_height: int) -> None:
        old, self._window = self._window, window
        if old is None:
            return
        if fork_height < old.height:
            self._bus.publish(ChainReorganised(fork_height, _as_tip(old)))
        self._bus.publish(TipChanged(_as_tip(window)))

    def _compare(self) -> None:
        """Who is behind the best known tip."""
        best = self._checked_window().height
        for server, height in self._heights.items():
            if height + BEHIND_BLOCKS < best:
                self.failures[server] = ServerBehind(server=str(server), height=height, best_height=best)
            else:
                self.failures.pop(server, None)

    async def _first_round(self) -> None:
        """Wait until every server had its first outcome, or one is ready and the others took their time."""
        waits = {asyncio.ensure_future(tried.wait()) for tried in self._tried.values()}
        every = set(waits)
        timer: asyncio.Future[None] | None = None
        try:
            while waits and not (timer is not None and timer.done()):
                watched: set[asyncio.Future[Any]] = {*waits, *self._tasks} if timer is None else {*waits, timer}
                running = {future for future in watched if not future.done()}
                await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                waits = {wait for wait in waits if not wait.done()}
                for task in self._tasks:
                    if task.done():
                        task.result()
                if self._links and timer is None:
                    timer = asyncio.ensure_future(self._clock.sleep(OTHERS_S))
        finally:
            rest: list[asyncio.Future[Any]] = [*every, *([timer] if timer is not None else [])]
            for future in rest:
                future.cancel()
            await finish(_ended(rest))

    async def _first_good(self, ask: Callable[[ElectrumLink], Awaitable[T]]) -> T:
        """What the first server gives that does not fail; those that have the best chain come first."""
        if self._closed:
            raise ChainUnavailable(reason="the chain is closed")
        links = sorted(self._links.values(), key=lambda link: (link.server in self.failures, self._rank(link)))
        refused: ServerRefused | None = None
        for link in links:
            try:
                return await ask(link)
            except ServerRefused as error:
                refused = refused or error
            except ServerFailed as error:
                await self._give_up(link, error)
        raise refused or self._failure()

    def _rank(self, link: ElectrumLink) -> int:
        return self._servers.index(link.server)

    async def _give_up(self, link: ElectrumLink, error: ServerFailed) -> None:
        """The connection ends, and with it its task's turn, which tries again where that makes sense."""
        server = link.server
        if self._links.get(server) is link:
            del self._links[server]
            self._given_up[server] = self.failures[server] = error
            await link.aclose()

    def _failure(self) -> ChainUnavailable:
        errors = [
            self.failures.get(server) or ServerUnreachable(server=str(server), reason="no connection yet")
            for server in self._servers
        ]
        if len(errors) == 1:
            # An exception that is kept would gather a longer traceback with every raise.
            return errors[0].with_traceback(None)
        return AllServersFailed(reason="; ".join(error.reason for error in errors))

    def _checked_window(self) -> HeaderWindow:
        if self._closed or self._window is None:
            raise ChainUnavailable(reason="the chain is closed")
        return self._window

    def _known_tip(self) -> Tip:
        return _as_tip(self._checked_window())


def _as_tip(window: HeaderWindow) -> Tip:
    return Tip(window.height, window.tip.hash, window.tip.time)


def _old_header(found: list[bytes], window: HeaderWindow, height: int) -> bytes:
    """The one header of an answer, from below `window`. BadAnswer."""
    if not found:
        raise BadAnswer(f"it has no header at height {height}")
    try:
        header = Header.read(found[0])
        header.check_work(window.rules)
    except HeaderRefused as error:
        raise BadAnswer(f"header at height {height}: {error}") from None
    above = window.at(height + 1)
    if above is not None and above.previous != header.hash:
        raise BadAnswer(f"header at height {height}: the next one does not follow it")
    return header.raw


async def _transaction(link: ElectrumLink, txid: bytes) -> Transaction:
    raw = await link.ask(read_transaction, "blockchain.transaction.get", txid[::-1].hex())
    try:
        transaction = parse_transaction(raw)
    except TransactionRefused as error:
        raise ServerLied(server=str(link.server), reason=f"what it gives is no transaction: {error}") from None
    return _demand(link, transaction, transaction.txid == txid, "it gives another transaction than was asked for")


def _demand(link: ElectrumLink, value: T, holds: bool, otherwise: str) -> T:
    """`value`; ServerLied(`otherwise`) unless it holds."""
    if not holds:
        raise ServerLied(server=str(link.server), reason=otherwise)
    return value


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


async def _ended(futures: Sequence[asyncio.Future[Any]]) -> None:
    """Wait for all; what they ended with is of no interest any more."""
    await asyncio.gather(*futures, return_exceptions=True)
