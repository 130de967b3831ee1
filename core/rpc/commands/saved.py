"""`listsavedpeers`, `setpeer`, `forgetpeer`, `listbans`, `setban`: Leyden's own, about peers that need not be there."""

from __future__ import annotations

import json

from core.bolt.address import Address, AddressError, parse_literal, split_host_port
from core.peers.bans import Ban, banned_node, parse_subject
from core.peers.book import MAX_LABEL_CHARACTERS, MAX_NOTE_CHARACTERS
from core.peers.values import KeptAddress, KeptPeer
from core.rpc.commands.base import Command, Context, Json
from core.rpc.commands.shapes import address_object
from core.rpc.params import BadParam, Param, Parse, Scope, boolean, decimal, node_id, optional
from core.rpc.tokens import Kind, Token

DEFAULT_BAN_MINUTES = 24 * 60
MAX_BAN_MINUTES = 100 * 366 * 24 * 60


async def _listsavedpeers(context: Context, *, id: bytes | None) -> Json:  # noqa: A002
    records = await context.node.peers.saved.records(id)
    return {"savedpeers": [_saved_object(context, record) for record in records]}


def _saved_object(context: Context, record: KeptPeer) -> Json:
    peers = context.node.peers
    found: Json = {
        "id": record.node_id.hex(),
        "connected": peers.peer(record.node_id) is not None,
        "label": record.label,
        "note": record.note,
        "saved_at": round(record.saved_at, 3),
    }
    attempt_s = peers.saved.next_attempt_in_s(record.node_id)
    if attempt_s is not None:
        found["next_attempt_in"] = round(attempt_s, 3)
    ban = peers.bans.of_node(record.node_id)
    if ban is not None:
        found["banned_until"] = round(ban.until, 3)
    found["addresses"] = [_kept_object(kept) for kept in record.addresses]
    return found


def _kept_object(kept: KeptAddress) -> Json:
    found = address_object(kept.address)
    found["learnt"] = kept.learnt.value
    found["last_success"] = round(kept.last_success, 3)
    if kept.last_failure is not None:
        found["last_failure"] = round(kept.last_failure, 3)
    return found


LISTSAVEDPEERS = Command(
    "listsavedpeers",
    "network",
    "Leyden's own: the peers that are kept, connected or not, or only {id}. Each has the user's label and note and the "
    "addresses that were dialled with success, the one that worked last first, with last_success, last_failure and "
    "where the address was learnt; next_attempt_in is in seconds and only there while the node means to dial the peer "
    "by itself, banned_until only while its id is banned. Times are in seconds since 1970",
    _listsavedpeers,
    (optional("id", node_id),),
)


def _own_words(limit: int, *, lines: bool) -> Parse:
    def parse(token: Token, _scope: Scope) -> str | None:
        if token.is_null:
            return None
        text = str(json.loads(token.raw)) if token.kind is Kind.STRING else token.text
        shown = text.replace("\n", "") if lines else text
        if not shown.isprintable():
            raise BadParam("should be text that can be shown" + (", in lines" if lines else ", in one line"))
        if len(text) > limit:
            raise BadParam(f"should be at most {limit} characters")
        return text

    return parse


async def _setpeer(context: Context, *, id: bytes, label: str | None, note: str | None) -> Json:  # noqa: A002
    saved = context.node.peers.saved
    await saved.describe(id, label=label, note=note)
    (record,) = await saved.records(id)
    return {"id": record.node_id.hex(), "label": record.label, "note": record.note}


SETPEER = Command(
    "setpeer",
    "network",
    f"Leyden's own: save the peer {{id}} with a {{label}} of at most {MAX_LABEL_CHARACTERS} characters and a {{note}} "
    f"of at most {MAX_NOTE_CHARACTERS}, which nobody but you sees or changes. What is left out or null stays as it is, "
    "an empty text removes it",
    _setpeer,
    (
        Param("id", node_id),
        optional("label", _own_words(MAX_LABEL_CHARACTERS, lines=False)),
        optional("note", _own_words(MAX_NOTE_CHARACTERS, lines=True)),
    ),
)


def _saved_address(token: Token, scope: Scope) -> Address:
    """As `listpeers` shows it: `1.2.3.4:9735`, `[::1]:9735`, an onion, a local socket's path."""
    try:
        if token.text.startswith("/"):
            found = parse_literal(token.text, 0)
        else:
            host, port = split_host_port(token.text)
            found = parse_literal(host, scope.node.network.default_port if port is None else port)
    except AddressError:
        found = None
    if found is None:
        raise BadParam("should be an address such as 203.0.113.7:9735")
    return found


async def _forgetpeer(context: Context, *, id: bytes, address: Address | None) -> Json:  # noqa: A002
    await context.node.peers.saved.forget(id, address)
    return {}


FORGETPEER = Command(
    "forgetpeer",
    "network",
    "Leyden's own: forget all that is kept of the peer {id}, its label and note included, or only its {address} (the "
    "port is the network's own unless given). It is not dialled by itself there any more; a connection with it stays, "
    "and so do bans",
    _forgetpeer,
    (Param("id", node_id), optional("address", _saved_address)),
)


def _ban_object(ban: Ban) -> Json:
    return {"subject": ban.subject, "until": round(ban.until, 3), "banned_at": round(ban.banned_at, 3)}


def _listbans(context: Context) -> Json:
    return {"bans": [_ban_object(ban) for ban in context.node.peers.bans.all()]}


LISTBANS = Command(
    "listbans",
    "network",
    "Leyden's own: the bans in force, the one that ends first first. subject is a node id, an IP address or a range; "
    "times are in seconds since 1970",
    _listbans,
)


def _subject(token: Token, scope: Scope) -> str:
    try:
        subject = parse_subject(token.text)
    except ValueError:
        raise BadParam("should be a node id, an IP address or a range such as 203.0.113.0/24") from None
    if banned_node(subject) == scope.node.node_id:
        raise BadParam("should not be the node's own id")
    return subject


def _minutes(token: Token, _scope: Scope) -> int:
    number = decimal(token.text)
    if number is None or number > MAX_BAN_MINUTES:
        raise BadParam(f"should be between 0 and {MAX_BAN_MINUTES}")
    return number


async def _setban(context: Context, *, subject: str, minutes: int, disconnect: bool, force: bool) -> Json:
    node = context.node
    if minutes == 0:
        await node.peers.bans.lift(subject)
        return {}
    until = node.clock.time() + minutes * 60
    return _ban_object(await node.peers.ban(subject, until, disconnect=disconnect, force=force))


SETBAN = Command(
    "setban",
    "network",
    "Leyden's own: keep {subject}, a node id, an IP address or a range such as 203.0.113.0/24, away for {minutes} "
    f"(default {DEFAULT_BAN_MINUTES}; 0 lifts the ban). It is neither let in nor dialled. "
    "{disconnect} (default true) ends the connections with it and returns once they are gone, so 'setban ID 10' "
    "disconnects a peer and keeps it away for ten minutes; with false they stay. A connection with a current channel "
    "makes it refuse unless {force} is set",
    _setban,
    (
        Param("subject", _subject),
        optional("minutes", _minutes, default=DEFAULT_BAN_MINUTES),
        optional("disconnect", boolean, default=True),
        optional("force", boolean, default=False),
    ),
)
