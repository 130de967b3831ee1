"""The platform coin from a Bitcoin Core of the user's, by its RPC.

What it says is believed: it checks the chain itself. Here it is only held to the network's genesis block, to headers
and transactions that have the hashes it names, and to answers of the right shape. It is asked for its tip every few
seconds, since its RPC tells nothing by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from decimal import ROUND_CEILING, Decimal
from typing import Any

from core.base.clock import Clock
from core.base.events import EventBus
from core.base.finish import finish
from core.bolt.networks import Network
from core.chain.bitcoin_rpc_client import ReadLogin, RpcClient, RpcServer, load_http
from core.chain.errors import ChainUnavailable, ServerLied, ServerRefused, WrongChain
from core.chain.headers import HEADER_BYTES, double_sha256
from core.chain.source import Bears, Capability, ChainReorganised, Position, Tip, TipChanged, UnspentOutput
from core.chain.transactions import Transaction, TransactionRefused, merkle_root, parse_block_transactions, txid

POLL_S = 2.0
TIMEOUT_S = 30.0
REMEMBERED_BLOCKS = 144
"""How far back a reorganisation's fork is told exactly; a day."""
_SAT_PER_COIN = 100_000_000
_MOST_COINS = 21_000_000
_INVALID_PARAMETER = -8
_INVALID_ADDRESS_OR_KEY = -5
_METHOD_NOT_FOUND = -32601
_TRANSACTION_CODES = frozenset({-22, -25, -26, -27, -32603})
"""What `sendrawtransaction` says of one that it does not take; the last is what other nodes than Core's say."""

_log = logging.getLogger(__name__)


def _parse(block: bytes, block_hash: bytes) -> list[Transaction]:
    """The transactions of a block that is checked to be the one with this hash. Raises TransactionRefused."""
    if double_sha256(block[:HEADER_BYTES]) != block_hash:
        raise TransactionRefused("it has another hash than it was asked by")
    transactions = parse_block_transactions(block)
    if not transactions or merkle_root([transaction.txid for transaction in transactions]) != block[36:68]:
        raise TransactionRefused("its header does not commit to its transactions")
    return transactions


class BitcoinRpcSource:
    """A `ChainSource`, `FeeSource`, `TransactionSource`, `OutputSource`, `PositionSource` and `SpendWatch`."""

    capabilities = frozenset(
        (
            *(Capability.FEES, Capability.TX_BY_POSITION, Capability.OUTPUT_UNSPENT),
            *(Capability.OUTPUTS_TOGETHER, Capability.SPEND_WATCH),
        )
    )
    bears = Bears(at_once=2, a_second=None, together=64)
    """Bitcoin Core has four threads by default, and others ask it too; so many answers are read in 1 ms."""

    def __init__(self, client: RpcClient, network: Network, bus: EventBus) -> None:
        """Use `open`."""
        self.network = network
        self.description = f"Bitcoin Core at {client.name}, which checks the chain itself"
        self._client = client
        self._bus = bus
        self._hashes: dict[int, bytes] = {}
        """Of the last blocks of its best chain, by height, as they were last told."""
        self._tip: Tip | None = None
        self._looking = asyncio.Lock()
        self._reading = asyncio.Lock()
        self._parsed: tuple[bytes, list[Transaction]] = b"", []
        """The block that was read last, by its hash: who asks for one of its transactions asks for others."""
        self._poll: asyncio.Task[None] | None = None
        self._closed = False

    @classmethod
    async def open(
        cls,
        server: RpcServer,
        login: ReadLogin,
        network: Network,
        bus: EventBus,
        clock: Clock,
        *,
        poll_s: float = POLL_S,
        timeout_s: float = TIMEOUT_S,
    ) -> BitcoinRpcSource:
        """Connect, see that it follows `network`, and begin to watch its tip.

        Raises ServerUnreachable, ServerStalled, ServerRefused (also while it still starts), ServerLied, WrongPassword,
        WrongChain.
        """
        await load_http()
        client = RpcClient(server, login, timeout_s=timeout_s)
        source = cls(client, network, bus)
        try:
            genesis = source._hash(await client.call("getblockhash", 0))
            if genesis != network.chain_hash:
                raise WrongChain(server=client.name, genesis=genesis)
            await source._look()
        except BaseException:
            await finish(client.aclose())
            raise
        source._poll = asyncio.create_task(source._watch(clock, poll_s), name=f"tip of {client.name}")
        return source

    async def tip(self) -> Tip:
        """Asked of the server each time."""
        self._check_open()
        return await self._look()

    async def header(self, height: int) -> bytes:
        self._check_open()
        block_hash = await self._hash_at(height)
        if block_hash is None:
            raise ChainUnavailable(reason=f"no block at height {height}")
        return await self._header(block_hash)

    async def broadcast(self, transaction: bytes) -> bytes:
        """Raises TransactionRefused with the server's reason, ChainUnavailable."""
        self._check_open()
        ours = txid(transaction)
        try:
            theirs = self._hash(await self._client.call("sendrawtransaction", transaction.hex()))
        except ServerRefused as error:
            if error.code in _TRANSACTION_CODES:
                raise TransactionRefused(error.said) from error
            raise
        if theirs != ours:
            raise self._lied("it names another transaction than it was given")
        return ours

    async def fee_estimate(self, target_blocks: int) -> int | None:
        """See `FeeSource`."""
        self._check_open()
        try:
            answer = self._object(await self._client.call("estimatesmartfee", target_blocks))
        except ServerRefused as error:
            if error.code == _METHOD_NOT_FOUND:
                return None
            raise
        if "feerate" not in answer:
            return None
        # It may stand there as 0 or -1 when there is no estimate.
        return self._satoshi(answer["feerate"]) if self._number(answer["feerate"]) > 0 else None

    async def transaction_at(self, height: int, index: int) -> bytes | None:
        """See `TransactionSource`; a block that the server has pruned is ServerRefused."""
        transactions = await self._block_at(height)
        return transactions[index].raw if transactions is not None and 0 <= index < len(transactions) else None

    async def spent_at(self, height: int) -> frozenset[bytes] | None:
        """See `SpendWatch`."""
        transactions = await self._block_at(height)
        if transactions is None:
            return None
        return frozenset(outpoint for transaction in transactions[1:] for outpoint in transaction.spends)

    async def _block_at(self, height: int) -> list[Transaction] | None:
        self._check_open()
        block_hash = await self._hash_at(height)
        if block_hash is None:
            return None
        async with self._reading:
            if self._parsed[0] != block_hash:
                # The whole block: single transactions are found by servers with an index of them, or recent versions.
                block = self._bytes(await self._client.call("getblock", block_hash[::-1].hex(), False))
                try:
                    self._parsed = block_hash, await finish(asyncio.to_thread(_parse, block, block_hash))
                except TransactionRefused as error:
                    raise self._lied(f"a block that is none: {error}") from error
            return self._parsed[1]

    async def unspent_output(self, txid: bytes, index: int) -> UnspentOutput | None:
        """See `OutputSource`."""
        self._check_open()
        answer = await self._client.call("gettxout", txid[::-1].hex(), index, False)
        if answer is None:
            return None
        found = self._object(answer)
        best = self._object(await self._client.call("getblockheader", found.get("bestblock"), True))
        height = self._integer(best.get("height")) - self._integer(found.get("confirmations")) + 1
        return self._unspent(found, height)

    async def unspent_at(self, positions: Sequence[Position]) -> list[tuple[bytes, UnspentOutput] | None]:
        """See `PositionSource`. Ids of transactions are asked for a block at a time, whose bytes are not needed."""
        self._check_open()
        txids = await self._txids_at(sorted({position.height for position in positions}))
        there: dict[Position, bytes] = {}
        for position in positions:
            of_block = txids.get(position.height, [])
            if position.transaction < len(of_block):
                there[position] = self._hash(of_block[position.transaction])
        calls = [("gettxout", (txid[::-1].hex(), position.output, False)) for position, txid in there.items()]
        answers = dict(zip(there, await self._client.batch_of_any(calls) if calls else (), strict=True))
        found: list[tuple[bytes, UnspentOutput] | None] = []
        for position in positions:
            answer = answers.get(position)
            if answer is None or isinstance(answer, ServerRefused):
                found.append(None)
            else:
                found.append((there[position], self._unspent(self._object(answer), position.height)))
        return found

    async def _txids_at(self, heights: Sequence[int]) -> dict[int, list[Any]]:
        """As the server prints them; without blocks that are not in the best chain or that it has pruned."""
        hashes = await self._client.batch_of_any([("getblockhash", (height,)) for height in heights])
        txids: dict[int, list[Any]] = {}
        for height, block_hash in zip(heights, hashes, strict=True):
            if isinstance(block_hash, ServerRefused):
                continue
            # One block a question: parsing an answer holds up the loop's thread too, whichever thread does it.
            with contextlib.suppress(ServerRefused):
                block = self._object(await self._client.call("getblock", block_hash, True))
                txids[height] = self._list(block.get("tx"))
        return txids

    def _unspent(self, found: dict[str, Any], height: int) -> UnspentOutput:
        script = self._bytes(self._object(found.get("scriptPubKey")).get("hex"))
        return UnspentOutput(self._satoshi(found.get("value")), script, height)

    async def aclose(self) -> None:
        self._closed = True
        poll, self._poll = self._poll, None
        if poll is not None:
            poll.cancel()
        await finish(self._close(poll))

    async def _close(self, poll: asyncio.Task[None] | None) -> None:
        try:
            if poll is not None:
                with contextlib.suppress(asyncio.CancelledError):
                    await poll
        finally:
            await self._client.aclose()

    async def _watch(self, clock: Clock, poll_s: float) -> None:
        failing = False
        while True:
            await clock.sleep(poll_s)
            try:
                await self._look()
                failing = False
            except ChainUnavailable as error:
                if not failing:
                    _log.warning("the chain does not answer: %s", error.reason)
                failing = True

    # -- the tip

    async def _look(self) -> Tip:
        """Ask for the tip, and tell when it is another."""
        async with self._looking:
            info = self._object(await self._client.call("getblockchaininfo"))
            best, height = self._hash(info.get("bestblockhash")), self._integer(info.get("blocks"))
            old = self._tip
            if old is not None and best == old.block_hash:
                return old
            header = await self._header(best)
            new = Tip(height, best, int.from_bytes(header[68:72], "little"))
            fork = -1 if old is None else await self._fork(old, height)
            fresh = range(max(fork + 1, height + 1 - REMEMBERED_BLOCKS, 0), height + 1)
            hashes = dict(zip(fresh, await self._hashes_at(fresh), strict=True))
            hashes[height] = best
            self._remember(fork, hashes)
            self._tip = new
            if old is not None:
                if fork < old.height:
                    self._bus.publish(ChainReorganised(fork, old))
                self._bus.publish(TipChanged(new))
            return new

    async def _fork(self, old: Tip, height: int) -> int:
        """The last height where the best chain is still what it was, or the one below all that are remembered."""
        for known in range(min(old.height, height), min(self._hashes) - 1, -1):
            if await self._hash_at(known) == self._hashes[known]:
                return known
        return max(min(self._hashes) - 1, 0)

    def _remember(self, fork: int, fresh: dict[int, bytes]) -> None:
        kept = {height: known for height, known in self._hashes.items() if height <= fork} | fresh
        oldest = max(kept) + 1 - REMEMBERED_BLOCKS
        self._hashes = {height: known for height, known in kept.items() if height >= oldest}

    async def _hashes_at(self, heights: range) -> list[bytes]:
        if not heights:
            return []
        answers = await self._client.batch([("getblockhash", (height,)) for height in heights])
        return [self._hash(answer) for answer in answers]

    async def _hash_at(self, height: int) -> bytes | None:
        """None when the best chain has no such height."""
        try:
            return self._hash(await self._client.call("getblockhash", height))
        except ServerRefused as error:
            if error.code == _INVALID_PARAMETER:
                return None
            raise

    async def _header(self, block_hash: bytes) -> bytes:
        try:
            header = self._bytes(await self._client.call("getblockheader", block_hash[::-1].hex(), False))
        except ServerRefused as error:
            if error.code == _INVALID_ADDRESS_OR_KEY:
                raise self._lied("it does not know a block that it has named") from error
            raise
        if len(header) != HEADER_BYTES or double_sha256(header) != block_hash:
            raise self._lied("a header has another hash than it was asked by")
        return header

    # -- what it says, read with care

    def _lied(self, reason: str) -> ServerLied:
        return ServerLied(server=self._client.name, reason=reason)

    def _object(self, value: object) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self._lied("an answer of another shape")
        return value

    def _list(self, value: object) -> list[Any]:
        if not isinstance(value, list):
            raise self._lied("an answer of another shape")
        return value

    def _bytes(self, value: object) -> bytes:
        try:
            return bytes.fromhex(value)  # type: ignore[arg-type]  # anything else is a TypeError
        except (TypeError, ValueError) as error:
            raise self._lied("an answer that is not in hex") from error

    def _hash(self, value: object) -> bytes:
        """In wire order; RPC prints hashes the other way round."""
        found = self._bytes(value)
        if len(found) != 32:
            raise self._lied("a hash of another length")
        return found[::-1]

    def _integer(self, value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise self._lied("a number that is none")
        return value

    def _number(self, value: object) -> Decimal:
        if isinstance(value, int | Decimal) and not isinstance(value, bool) and abs(Decimal(value)) <= _MOST_COINS:
            return Decimal(value)
        raise self._lied("an amount that is none")

    def _satoshi(self, value: object) -> int:
        """Coins as a decimal number, rounded up to a satoshi."""
        return int((self._number(value) * _SAT_PER_COIN).to_integral_value(ROUND_CEILING))

    def _check_open(self) -> None:
        if self._closed:
            raise ChainUnavailable(reason="the chain is closed")
