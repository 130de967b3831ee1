"""Words for what goes wrong between nodes and while activating; part of the table of `gui.words`."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

from core.activation import errors as activation
from core.bolt.keys import short_id
from core.chain import errors as chain
from core.gossip import errors as gossip
from core.peers import errors as peers
from core.rpc.errors import to_rpc_error
from gui.phrases import Remedy, Words, bounded, tr
from gui.times import exactly


def _no_address(error: peers.NoAddressKnown) -> Words:
    return Words(
        tr("No address for this node"),
        tr(
            "{id} has not announced an address, and none was given. "
            "Add the host after the @, like {id}@203.0.113.7:9735.",
            id=short_id(error.node_id),
        ),
        actions=(Remedy.EDIT_ADDRESS,),
    )


def _all_failed(error: peers.AllAddressesFailed) -> Words:
    lines = tuple(attempt_words(attempt, short_id(error.node_id)) for attempt in error.attempts)
    if any("wrong key" in attempt.reason for attempt in error.attempts):
        return Words(
            tr("This may be a different node"),
            tr(
                "An address answered, but not as {id}. "
                "The node id may be mistyped, or another node uses this address now.",
                id=short_id(error.node_id),
            ),
            lines,
            (Remedy.EDIT_ADDRESS, Remedy.RETRY, Remedy.COPY_DETAILS),
        )
    title = tr("Could not reach this node")
    remedies = (Remedy.RETRY, Remedy.EDIT_ADDRESS, Remedy.COPY_DETAILS)
    if len(lines) == 1:
        return Words(title, lines[0], actions=remedies)
    body = tr(
        "We tried {n} addresses and none worked. {id} may be offline or behind a firewall.",
        n=len(lines),
        id=short_id(error.node_id),
    )
    return Words(title, body, lines, remedies)


def attempt_words(attempt: peers.AddressAttempt, node: str) -> str:
    """One address that failed, with what to do about it."""
    reason = attempt.reason
    facts = {"address": bounded(attempt.address, 270), "reason": bounded(reason), "node": node}
    if attempt.proxy_reply:
        reply = bounded(attempt.proxy_reply)
        return tr("{address}: the proxy could not reach it ({reply}). It may be offline.", reply=reply, **facts)
    if reason == "Connection refused":
        return tr("{address}: the host is up, but nothing listens on that port. Check the port.", **facts)
    if "wrong key" in reason or reason == "Protocol error":
        return tr("{address}: it answered, but could not prove that it is {node}. Check the node id.", **facts)
    if reason == "Connection timed out":
        return tr("{address}: no answer in time. It may be offline, or a firewall drops the connection.", **facts)
    if reason in ("Network is unreachable", "No route to host"):
        return tr("{address}: this computer has no way to that network. Check your own connection.", **facts)
    if "getaddrinfo" in reason or "Name or service not known" in reason:
        return tr("{address}: no such host was found. Check the spelling.", **facts)
    if reason == "dns disabled":
        return tr("{address}: looking up names is switched off. Give the IP address.", **facts)
    if reason == "need a proxy":
        return tr("{address}: this is a Tor address and no proxy is set.", **facts)
    if reason == "peer closed connection":
        return tr("{address}: it hung up. It may be full, or may not accept new peers.", **facts)
    phase = f" ({attempt.phase})" if attempt.phase else ""
    return tr("{address}: {reason}{phase}", phase=phase, **facts)


def _hung_up(error: peers.DisconnectedDuringConnect) -> Words:
    return Words(
        tr("The node hung up while connecting"),
        tr(
            "{id} closed the connection before it was ready. It may be full, or may not accept new peers.",
            id=short_id(error.node_id),
        ),
        actions=(Remedy.RETRY, Remedy.COPY_DETAILS),
    )


def _own_id(_error: peers.OwnNodeId) -> Words:
    return Words(
        tr("That is your own node id"),
        tr("A node does not connect to itself. Paste the address of another node."),
        actions=(Remedy.EDIT_ADDRESS,),
    )


def _peer_gone(error: peers.UnknownPeer | peers.PeerNotConnected | peers.CustomPeerNotConnected) -> Words:
    return Words(
        tr("Not connected"),
        tr("{id} is not connected any more. Nothing was sent or closed.", id=short_id(error.node_id)),
        actions=(Remedy.CONNECT,),
    )


def _has_channel(error: peers.PeerHasChannel) -> Words:
    return Words(
        tr("This peer has a channel"),
        tr(
            "{id} has at least one channel in state {state}, so a plain disconnect is refused. "
            "Force-disconnect closes the connection, not the channel.",
            id=short_id(error.node_id),
            state=bounded(error.state, 60),
        ),
        actions=(Remedy.FORCE_DISCONNECT,),
    )


def _type_internal(error: peers.CustomTypeInternal) -> Words:
    return Words(
        tr("This type belongs to the protocol"),
        tr(
            "{type} is {name}. Leyden sends it by itself where the protocol asks for it. "
            "Use an odd type from 32769 up.",
            type=error.type,
            name=error.name,
        ),
    )


def _type_even(error: peers.CustomTypeEven) -> Words:
    return Words(
        tr("Even types are not sent"),
        tr(
            "A peer that does not know {type} must close the connection (BOLT 1). Try {odd}.",
            type=error.type,
            odd=error.type + 1,
        ),
    )


def _message_size(error: peers.CustomMessageSize) -> Words:
    return Words(
        tr("The message has the wrong size"),
        tr(
            "A message has 2 to 65,535 bytes, its type included. This one has {n}.",
            n=f"{error.length:,}",
        ),
    )


def _ping_size(_error: peers.PingTooLong | peers.PongTooLong) -> Words:
    return Words(tr("The ping is too long"), tr("A ping and its pong have to fit into one message of 65,535 bytes."))


def _ping_pending(error: peers.PingPending) -> Words:
    return Words(
        tr("A ping is on its way"),
        tr("{id} has not answered the last one yet. There is one at a time.", id=short_id(error.node_id)),
    )


_NO_SUCH_HOST = ("not known", "getaddrinfo", "nodename nor servname", "No address associated")


def _host_not_valid(error: peers.HostNotValid) -> Words:
    if any(part in error.reason for part in _NO_SUCH_HOST):
        return Words(
            tr("Host not found"),
            tr("There is no “{host}”. Check its spelling, and that you are online.", host=bounded(error.host, 255)),
            (bounded(error.reason),),
            (Remedy.EDIT_ADDRESS, Remedy.RETRY, Remedy.COPY_DETAILS),
        )
    return Words(
        tr("This host is not valid"),
        tr(
            "{host}, port {port}: {reason}. Check the spelling.",
            host=bounded(error.host, 255),
            port=error.port,
            reason=bounded(error.reason),
        ),
        actions=(Remedy.EDIT_ADDRESS,),
    )


def _host_not_simple(error: peers.HostNotSimple) -> Words:
    return Words(
        tr("This host is not one address"),
        tr("{host} names no single place to connect to. Give a host name or an IP address.", host=bounded(error.host)),
        actions=(Remedy.EDIT_ADDRESS,),
    )


def _banned(error: peers.Banned) -> Words:
    return Words(
        tr("You have banned it"),
        tr(
            "{subject} is kept away until {until}. Lift the ban to connect before that.",
            subject=bounded(error.subject, 70),
            until=exactly(error.until),
        ),
    )


def _not_banned(error: peers.NotBanned) -> Words:
    return Words(tr("No such ban"), tr("{subject} is not banned.", subject=bounded(error.subject, 70)))


def _bans_full(error: peers.BansFull) -> Words:
    return Words(
        tr("Too many bans"),
        tr("{n} bans are in force. Lift some, or ban a range of addresses instead.", n=error.limit),
    )


def _not_saved(error: peers.NotSaved) -> Words:
    return Words(
        tr("Nothing to forget"),
        tr("{id} is not saved, or not with that address.", id=short_id(error.node_id)),
    )


def _listen_failed(error: peers.ListenFailed) -> Words:
    facts = {"address": bounded(error.address, 270), "reason": bounded(error.reason)}
    if error.errno in (errno.EADDRINUSE, 10048):
        return Words(
            tr("{address} is taken", **facts),
            tr(
                "Another program is already listening there, maybe another Lightning node. "
                "Close it, or start Leyden with another --bind.",
                **facts,
            ),
            actions=(Remedy.RETRY, Remedy.COPY_DETAILS),
        )
    if error.errno in (errno.EACCES, errno.EPERM, 10013):
        body = tr(
            "The system does not let Leyden listen on {address}. Ports below 1024 need an administrator.", **facts
        )
    elif error.errno in (errno.EADDRNOTAVAIL, 10049):
        body = tr("This computer has no address {address}. Start Leyden with one of its own after --bind.", **facts)
    else:
        body = tr("{address}: {reason}", **facts)
    return Words(tr("Could not listen"), body, actions=(Remedy.RETRY, Remedy.COPY_DETAILS))


def _no_onion(error: peers.OnionServiceFailed) -> Words:
    return Words(
        tr("No onion service"),
        tr(
            "Tor's control port {control}: {reason}. See that Tor runs with ControlPort and CookieAuthentication, or "
            "start Leyden without --tor-control.",
            control=bounded(error.control, 70),
            reason=bounded(error.reason),
        ),
        actions=(Remedy.RETRY, Remedy.COPY_DETAILS),
    )


# --- activation and chain ------------------------------------------------------------------------------------------


def _not_active(_error: activation.NodeNotActive) -> Words:
    return Words(
        tr("Your node is not running"),
        tr("Peers and messages are there once it is activated."),
        actions=(Remedy.START_NODE,),
    )


def _no_task(error: activation.TaskNotFound | activation.TaskFinished) -> Words:
    return Words(tr("This activation is over"), tr("Task {id} has ended or is not known any more.", id=error.task_id))


def _no_chain(error: chain.NoChainSource) -> Words:
    return Words(
        tr("No chain source is set for {network}", network=error.network),
        tr("Name Electrum servers or your Bitcoin Core: in the wizard, in config.toml, or as options."),
        actions=(Remedy.OTHER_SOURCE, Remedy.RETRY, Remedy.QUIT),
    )


def _chain_damaged(error: chain.ChainDamaged) -> Words:
    return Words(
        tr("The chain's file is damaged"),
        tr("{path}, height {height}: {reason}", path=error.path, height=error.height, reason=bounded(error.reason)),
        actions=(Remedy.RETRY, Remedy.COPY_DETAILS),
    )


def _chain_gone(error: chain.ChainUnavailable) -> Words:
    return Words(
        tr("The chain does not answer"),
        tr("Without it the node cannot know the current block: {reason}", reason=bounded(error.reason)),
        actions=(Remedy.RETRY, Remedy.COPY_DETAILS),
    )


def _coins_file(error: activation.CoinsFileInvalid) -> Words:
    return Words(
        tr("Your coins file cannot be used"),
        tr("{path}: {reason}", path=error.path, reason=bounded(f"{error.key}: {error.reason}".removeprefix(": "))),
        actions=(Remedy.RETRY, Remedy.COPY_DETAILS),
    )


def _coin(error: Any) -> Words:
    """One coin that cannot be had as asked; the RPC's words say why."""
    return Words(
        tr("{ticker} cannot be used like this", ticker=bounded(error.ticker)),
        bounded(to_rpc_error(error).message),
        actions=(Remedy.COPY_DETAILS,),
    )


def _coin_entry(error: Any) -> Words:
    """The coins file's fault."""
    return Words(
        tr("An entry of the coins file cannot be used"),
        bounded(to_rpc_error(error).message),
        actions=(Remedy.RETRY, Remedy.COPY_DETAILS),
    )


def _choice(error: Any) -> Words:
    """What was chosen for this activation."""
    return Words(tr("The node cannot start like this"), bounded(to_rpc_error(error).message))


def _unverified(error: gossip.VerificationFailed) -> Words:
    return Words(
        tr("Announcements cannot be checked"),
        tr(
            "The program that checks their signatures ended: {reason}. "
            "Until the node is started again it learns nothing new of the network.",
            reason=bounded(error.reason),
        ),
        actions=(Remedy.RETRY, Remedy.COPY_DETAILS),
    )


RAPID_TRUST = tr(
    "This snapshot is not signed. Whoever makes it can leave channels out or make them up. It helps to find routes and "
    "addresses, it is never passed on, and what the nodes announce themselves takes its place."
)
"""What rapid gossip sync asks to be believed."""


def _no_snapshot(error: gossip.SnapshotUnavailable) -> Words:
    return Words(
        tr("The snapshot cannot be had"),
        tr("{source}: {reason}.", source=bounded(error.source), reason=bounded(error.reason)),
        actions=(Remedy.RETRY, Remedy.COPY_DETAILS),
    )


def _bad_snapshot(error: gossip.SnapshotRefused) -> Words:
    return Words(
        tr("The snapshot is not used"),
        tr("What {source} has {reason}.", source=bounded(error.source), reason=bounded(error.reason)),
        actions=(Remedy.COPY_DETAILS,),
    )


NODE_WORDS: dict[type[BaseException], Callable[[Any], Words]] = {
    peers.NoAddressKnown: _no_address,
    peers.AllAddressesFailed: _all_failed,
    peers.DisconnectedDuringConnect: _hung_up,
    peers.OwnNodeId: _own_id,
    peers.UnknownPeer: _peer_gone,
    peers.PeerNotConnected: _peer_gone,
    peers.NoSuchPeer: _peer_gone,
    peers.CustomPeerNotConnected: _peer_gone,
    peers.PeerHasChannel: _has_channel,
    peers.CustomTypeInternal: _type_internal,
    peers.CustomTypeEven: _type_even,
    peers.CustomMessageSize: _message_size,
    peers.PingTooLong: _ping_size,
    peers.PongTooLong: _ping_size,
    peers.PingPending: _ping_pending,
    peers.HostNotValid: _host_not_valid,
    peers.HostNotSimple: _host_not_simple,
    peers.Banned: _banned,
    peers.NotBanned: _not_banned,
    peers.BansFull: _bans_full,
    peers.NotSaved: _not_saved,
    peers.ListenFailed: _listen_failed,
    peers.OnionServiceFailed: _no_onion,
    activation.NodeNotActive: _not_active,
    activation.TaskNotFound: _no_task,
    activation.TaskFinished: _no_task,
    activation.CoinsFileInvalid: _coins_file,
    activation.NoSuchCoin: _coin,
    activation.CoinAlreadyActive: _coin,
    activation.CoinNotEnablable: _coin,
    activation.CoinNeedsServers: _coin,
    activation.CoinIsNotLightning: _coin,
    activation.L2AlreadyActivated: _coin,
    activation.L2ConfigNotFound: _coin,
    activation.PlatformCoinNotActivated: _coin,
    activation.OtherL2Active: _coin,
    activation.PlatformNotSegwit: _coin_entry,
    activation.L2ProtocolParseError: _coin_entry,
    activation.UnexpectedL2Protocol: _coin_entry,
    activation.L2ConfigParseError: _coin_entry,
    activation.UnsupportedPlatformCoin: _coin_entry,
    activation.InvalidPlatformConfiguration: _coin_entry,
    activation.NodeNameTooLong: _choice,
    activation.InvalidNodeColor: _choice,
    chain.NoChainSource: _no_chain,
    chain.ChainDamaged: _chain_damaged,
    chain.ChainUnavailable: _chain_gone,
    gossip.VerificationFailed: _unverified,
    gossip.SnapshotUnavailable: _no_snapshot,
    gossip.SnapshotRefused: _bad_snapshot,
}
