"""Every failure with its code and text, as CLN gives them in production mode; the one place where they are composed."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

from core.activation import errors as activation
from core.base.errors import LeydenError
from core.base.settings import SettingInvalid
from core.chain import errors as chain
from core.gossip import errors as gossip
from core.peers import errors as peers
from core.storage import errors as storage
from core.wallet import errors as wallet

LIGHTNINGD = -1
"""CLN's code for what has no code of its own."""
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
PAY_ROUTE_NOT_FOUND = 205
CONNECT_NO_KNOWN_ADDRESS = 400
CONNECT_ALL_ADDRESSES_FAILED = 401
CONNECT_DISCONNECTED_DURING = 402


class RpcError(Exception):
    """A reply that is an error."""

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(code, message, data)
        self.code = code
        self.message = message
        self.data = data


E_ = TypeVar("E_", bound=LeydenError)
_Row = tuple[int, Callable[[Any], str]]
_table: dict[type[LeydenError], _Row] = {}


def _say(kind: type[E_], code: int, words: Callable[[E_], str]) -> None:
    _table[kind] = (code, words)


def known_errors() -> frozenset[type[LeydenError]]:
    """The types that have a code and a text."""
    return frozenset(_table)


def to_rpc_error(error: LeydenError) -> RpcError:
    """The reply to `error`. KeyError when it has no row, which a test rules out."""
    code, words = _table[type(error)]
    return RpcError(code, words(error))


def _attempt(attempt: peers.AddressAttempt) -> str:
    """`ADDRESS: STATE: REASON. ` with its closing space (connectd.c:1081), before it what a proxy said (tor.c:41)."""
    host = attempt.address.rpartition(":")[0]
    proxy = f"Error connecting to {host}: Tor server reply: {attempt.proxy_reply}. " if attempt.proxy_reply else ""
    state = f"{attempt.phase.value}: " if attempt.phase is not None else ""
    return f"{proxy}{attempt.address}: {state}{attempt.reason}. "


def _utc(time: float) -> str:
    """Wall time as people and programs both read it."""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


# Of connect, as CLN's connect_control.c and connectd.c say it.
_say(peers.NoAddressKnown, CONNECT_NO_KNOWN_ADDRESS, lambda _: "Unable to connect, no address known for peer")
_say(
    peers.AllAddressesFailed,
    CONNECT_ALL_ADDRESSES_FAILED,
    lambda error: "All addresses failed: " + "".join(map(_attempt, error.attempts)),
)
_say(peers.DisconnectedDuringConnect, CONNECT_DISCONNECTED_DURING, lambda _: "disconnected during connection")
# CLN dials itself and finds out by the connection that replaces its own.
_say(peers.OwnNodeId, CONNECT_DISCONNECTED_DURING, lambda _: "disconnected during connection")
_say(peers.HostNotValid, LIGHTNINGD, lambda error: f"Host {error.host}:{error.port} not valid: {error.reason}")
_say(peers.HostNotSimple, LIGHTNINGD, lambda error: f"Host {error.host}:{error.port} not a simple type")

# Of disconnect: peer_control.c.
_say(peers.UnknownPeer, INVALID_PARAMS, lambda error: f"Unknown peer '{error.node_id.hex()}'")
_say(peers.PeerNotConnected, LIGHTNINGD, lambda _: "Peer not connected")
_say(peers.PeerHasChannel, LIGHTNINGD, lambda error: f"Peer has (at least one) channel in state {error.state}")

# Of sendcustommsg: connect_control.c; the even types as v0.10.1 refused them.
_say(
    peers.CustomTypeInternal,
    INVALID_REQUEST,
    lambda error: (
        f"Cannot send messages of type {error.type} (WIRE_{error.name.upper()}). It is not possible to send messages "
        "that have a type managed internally since that might cause issues with the internal state tracking."
    ),
)
_say(
    peers.CustomTypeEven,
    INVALID_REQUEST,
    lambda error: (
        f"Cannot send even-typed {error.type} custom message. Currently custom messages are limited to odd-numbered "
        "message types, as even-numbered types might result in disconnections."
    ),
)
_say(peers.CustomMessageSize, INVALID_PARAMS, lambda error: f"msg: should be 2 to 65535 bytes, not {error.length}")
_say(peers.NoSuchPeer, INVALID_REQUEST, lambda error: f"No such peer: {error.node_id.hex()}")
_say(peers.CustomPeerNotConnected, INVALID_REQUEST, lambda _: "Peer is not connected")

# Of ping: lightningd's ping.c.
_say(peers.PingTooLong, INVALID_PARAMS, lambda error: f"{error.length} would result in oversize ping")
_say(peers.PongTooLong, INVALID_PARAMS, lambda error: f"pongbytes {error.length} > 65535")
_say(peers.PingPending, LIGHTNINGD, lambda _: "Ping already pending")

# Ours: what CLN has no like of. All -1, in plain words with the facts.
_say(activation.NodeNotActive, LIGHTNINGD, lambda _: "Node is not active")
_say(activation.TaskNotFound, LIGHTNINGD, lambda error: f"No task {error.task_id}")
_say(activation.TaskFinished, LIGHTNINGD, lambda error: f"Task {error.task_id} has ended")
_say(
    activation.CoinsFileInvalid,
    LIGHTNINGD,
    lambda error: f"{error.path}: {error.key + ': ' if error.key else ''}{error.reason}",
)
_say(activation.NoSuchCoin, LIGHTNINGD, lambda error: f"No such coin: {error.ticker}")
_say(activation.CoinAlreadyActive, LIGHTNINGD, lambda error: f"Coin {error.ticker} already initialized")
_say(activation.CoinNotEnablable, LIGHTNINGD, lambda error: f"{error.ticker} is not a UTXO coin")
_say(activation.CoinNeedsServers, LIGHTNINGD, lambda error: f"No server for {error.ticker} that can be used")
_say(activation.CoinIsNotLightning, LIGHTNINGD, lambda error: f"Lightning network is not supported for {error.ticker}")
# In KDF's words.
_say(activation.L2AlreadyActivated, LIGHTNINGD, lambda error: f"Layer 2 {error.ticker} is already activated")
_say(activation.L2ConfigNotFound, LIGHTNINGD, lambda error: f"Layer 2 {error.ticker} config is not found")
_say(
    activation.L2ProtocolParseError,
    LIGHTNINGD,
    lambda error: f"Layer 2 {error.ticker} protocol parsing failed: {error.error} ({error.key})",
)
_say(
    activation.UnexpectedL2Protocol,
    LIGHTNINGD,
    lambda error: f"Unexpected layer 2 protocol {json.dumps(error.protocol)} for {error.ticker}",
)
_say(
    activation.L2ConfigParseError,
    LIGHTNINGD,
    lambda error: f"Layer 2 configuration parsing failed: {error.error} ({error.key} of {error.ticker})",
)
_say(activation.PlatformCoinNotActivated, LIGHTNINGD, lambda error: f"Platform coin {error.ticker} is not activated")
_say(
    activation.UnsupportedPlatformCoin,
    LIGHTNINGD,
    lambda error: f"{error.platform_coin_ticker} is not a platform coin for layer 2 {error.l2_ticker}",
)
_say(activation.PlatformNotSegwit, LIGHTNINGD, lambda _: "Lightning network is only supported in segwit mode")
_say(
    activation.InvalidPlatformConfiguration,
    LIGHTNINGD,
    lambda error: f"Invalid config for platform coin: {error.platform_coin_ticker}, error: {error.err}",
)
_say(
    activation.NodeNameTooLong,
    LIGHTNINGD,
    lambda _: "Invalid request: Node name length can't be more than 32 characters",
)
_say(activation.InvalidNodeColor, LIGHTNINGD, lambda _: "Invalid request: Invalid Hex Color")
_say(
    activation.OtherL2Active,
    LIGHTNINGD,
    lambda error: f"{error.active} is active, and one node runs one Lightning coin",
)
_say(peers.ListenFailed, LIGHTNINGD, lambda error: f"Cannot listen on {error.address}: {error.reason}")
_say(
    peers.OnionServiceFailed,
    LIGHTNINGD,
    lambda error: f"No onion service by Tor's control port {error.control}: {error.reason}",
)
_say(peers.Banned, LIGHTNINGD, lambda error: f"{error.subject} is banned until {_utc(error.until)}")
_say(peers.NotBanned, LIGHTNINGD, lambda error: f"{error.subject} is not banned")
_say(peers.BansFull, LIGHTNINGD, lambda error: f"There are {error.limit} bans already")
_say(
    peers.NotSaved,
    LIGHTNINGD,
    lambda error: (
        f"{error.node_id.hex()} is not saved"
        if error.address is None
        else f"{error.node_id.hex()} is not saved with {error.address}"
    ),
)
_say(SettingInvalid, LIGHTNINGD, lambda error: f"Setting {error.name} ({error.origin}): {error.reason}")

_say(chain.NoChainSource, LIGHTNINGD, lambda error: f"No chain source for {error.network} yet")
_say(chain.ChainDamaged, LIGHTNINGD, lambda error: f"{error.path} is damaged at block {error.height}: {error.reason}")
for _kind in (
    chain.ChainUnavailable,
    chain.ServerUnreachable,
    chain.ServerStalled,
    chain.ServerLied,
    chain.ServerRefused,
    chain.ServerBehind,
    chain.CertificateChanged,
    chain.WrongPassword,
    chain.WrongChain,
    chain.AllServersFailed,
):
    _say(_kind, LIGHTNINGD, lambda error: f"The chain does not answer: {error.reason}")

_say(
    chain.FaucetEmpty,
    LIGHTNINGD,
    lambda error: f"The practice chain can pay {error.spendable_sat} sat, not {error.asked_sat} sat",
)

_say(
    chain.NoPracticeChain,
    LIGHTNINGD,
    lambda error: (
        "There is no practice chain to mine on: the coin is "
        + (f"followed with {error.source}" if error.source else "not active")
    ),
)

_say(gossip.VerificationFailed, LIGHTNINGD, lambda error: f"Gossip cannot be verified: {error.reason}")

_say(gossip.SnapshotUnavailable, LIGHTNINGD, lambda error: f"No snapshot from {error.source}: {error.reason}")
_say(gossip.SnapshotRefused, LIGHTNINGD, lambda error: f"The snapshot from {error.source} {error.reason}")

_say(storage.ProfileLocked, LIGHTNINGD, lambda error: f"{error.path} is held by another process ({error.pid})")
_say(storage.ProfileUnusable, LIGHTNINGD, lambda error: f"{error.path}: {error.reason}")
_say(
    storage.SocketPathTooLong,
    LIGHTNINGD,
    lambda error: f"{error.path} has {error.length} bytes, a socket's path at most {error.limit}",
)
_say(
    storage.DatabaseTooNew,
    LIGHTNINGD,
    lambda error: f"{error.path} was written by a newer Leyden (version {error.found}, known {error.known})",
)
_say(storage.DatabaseDamaged, LIGHTNINGD, lambda error: f"{error.path} is damaged: {error.reason}")
_say(
    storage.FileDamaged,
    LIGHTNINGD,
    lambda error: f"{error.path} is damaged, kept as {error.set_aside}: {error.reason}",
)

_say(wallet.NoUsableKeyring, LIGHTNINGD, lambda error: f"No usable keyring: {error.reason}")
_say(wallet.KeyringLocked, LIGHTNINGD, lambda error: f"{error.backend} is locked")
_say(wallet.KeyringFailed, LIGHTNINGD, lambda error: f"{error.backend}: {error.reason}")
_say(wallet.KeyMissing, LIGHTNINGD, lambda error: f"{error.where} has no key for {error.node_id.hex()}")
_say(wallet.WrongKey, LIGHTNINGD, lambda error: f"{error.where} has the key of {error.found.hex()}")
_say(wallet.KeyDamaged, LIGHTNINGD, lambda error: f"The key in {error.where} is damaged: {error.reason}")
_say(wallet.KeyKindUnsupported, LIGHTNINGD, lambda error: f"The key in {error.where} is of kind {error.kind}")
_say(wallet.WrongPassphrase, LIGHTNINGD, lambda error: f"The passphrase does not open {error.path}")
_say(wallet.PassphraseNeeded, LIGHTNINGD, lambda error: f"{error.path} needs a passphrase")
_say(wallet.PassphraseFileUnsafe, LIGHTNINGD, lambda error: f"{error.path}: {error.reason}")
_say(wallet.KeyFileDamaged, LIGHTNINGD, lambda error: f"{error.path} is damaged: {error.reason}")
_say(wallet.KeyFileUnsafe, LIGHTNINGD, lambda error: f"{error.path}: {error.reason}")
_say(wallet.KeyFileFailed, LIGHTNINGD, lambda error: f"{error.path}: {error.reason}")
_say(wallet.MemoryKeyRefused, LIGHTNINGD, lambda error: f"A key in memory alone is refused on {error.network}")
_say(wallet.KeyNotSaved, LIGHTNINGD, lambda error: f"{error.backend} did not save the key: {error.reason}")
_say(
    wallet.KeyInTheWay,
    LIGHTNINGD,
    lambda error: f"{error.where} has the key of {error.found.hex()}, the words are of {error.offered.hex()}",
)
_say(wallet.KeyStorePinned, LIGHTNINGD, lambda error: f"Setting keystore ({error.origin}) is {error.keystore}")
_say(wallet.KeysLocked, LIGHTNINGD, lambda _: "The keys are locked")
_say(wallet.WordUnknown, LIGHTNINGD, lambda error: f"Word {error.position} is unknown")
_say(wallet.WordsCount, LIGHTNINGD, lambda error: f"{error.count} words, not 12 or 24")
_say(wallet.WordsChecksum, LIGHTNINGD, lambda _: "The words do not fit together")
_say(wallet.WordsOfLnd, LIGHTNINGD, lambda _: "These are words of LND's own format (aezeed)")
_say(wallet.WordsMistaken, LIGHTNINGD, lambda error: f"Wrong words at {', '.join(map(str, error.positions))}")
_say(wallet.WordsNotShown, LIGHTNINGD, lambda _: "The words are not shown any more")
