"""The wizard without Qt: its pages, what each needs, which moves are allowed, and what a restart takes up again.

What a person enters stands in `Entries` and may be written to disk; a secret never does. That a secret is at hand is
a fact of `Held`, which a restart begins without: so it begins again where the secret is asked for.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from core.base.setting_faults import MAX_ALIAS_BYTES
from core.bolt.address import AddressError, parse_port, split_host_port
from core.bolt.networks import NETWORKS

VERSION = 1


class PageId(StrEnum):
    """Every page, in the order in which they can come."""

    WELCOME = "welcome"
    IDENTITY = "identity"
    KEY = "key"
    WORDS = "words"
    ASKED = "asked"
    NETWORK = "network"
    START = "start"


class KeyPlan(StrEnum):
    """Where the node's key comes from."""

    NEW = "new"
    RESTORE = "restore"
    MEMORY = "memory"
    """A look around on regtest: nothing is saved."""
    KEPT = "kept"
    """The profile has one already; an earlier run of the wizard came that far."""


class ChainKind(StrEnum):
    """The values of `--chain-source`."""

    ELECTRUM = "electrum"
    BITCOIN_RPC = "bitcoin-rpc"
    EMBEDDED = "embedded"


class Need(StrEnum):
    """What a page still wants before it can be left forwards."""

    ALIAS_TOO_LONG = "alias_too_long"
    ALIAS_UNPRINTABLE = "alias_unprintable"
    COLOR_INVALID = "color_invalid"
    PASSPHRASE = "passphrase"  # noqa: S105 - the name of a need
    RESTORED_WORDS = "restored_words"
    WORDS_SEEN = "words_seen"
    ANSWERS = "answers"
    SERVERS = "servers"
    RPC_ADDRESS = "rpc_address"
    RPC_SECRET = "rpc_secret"  # noqa: S105 - the name of a need
    PORT = "port"


class MoveNotAllowed(RuntimeError):
    """A move that the present page does not offer; a fault of whoever asked, never of the person."""


class StateUnreadable(ValueError):
    """A kept state that this version did not write."""


@dataclass(frozen=True, slots=True)
class Entries:
    """What was entered; never a secret, so all of it may stand in a file."""

    network: str = "bitcoin"
    alias: str = ""
    color: str = ""
    """Six hex digits, or empty for the one that follows from the node id."""
    plan: KeyPlan = KeyPlan.NEW
    words: int = 24
    keystore: str = "keyring"
    chain: ChainKind = ChainKind.ELECTRUM
    servers: tuple[str, ...] = ()
    """`HOST:PORT:s` or `HOST:PORT:t`; empty for the network's well-known public ones."""
    rpc: str = ""
    """`HOST:PORT` of Bitcoin Core."""
    rpc_user: str = ""
    """Empty where a cookie file is used."""
    rpc_secret_file: str = ""
    """The cookie file, or with a user the file with the password."""
    listen: bool = False
    port: str = ""
    """As typed."""


@dataclass(frozen=True, slots=True)
class Held:
    """Which secrets are at hand in memory. Always empty after a restart."""

    passphrase: bool = False
    seen: bool = False
    """The words of the new key have been shown."""
    secret: bool = False
    """The key is ready: its words were asked back, or restored words were checked."""


@dataclass(slots=True)
class Machine:
    """One run through the wizard. `edit` and `hold` change what is known, the moves change the page."""

    entries: Entries = field(default_factory=Entries)
    held: Held = field(default_factory=Held)
    page: PageId = PageId.WELCOME

    @property
    def route(self) -> tuple[PageId, ...]:
        """The pages of this run; which they are follows from where the key comes from."""
        return _ROUTES[self.entries.plan]

    def edit(self, **changes: Any) -> None:
        """Take new entries. Another kind of key, or another number of words, gives up the secret at hand."""
        before = self.entries
        self.entries = dataclasses.replace(before, **changes)
        if (before.plan, before.words) != (self.entries.plan, self.entries.words):
            self.held = dataclasses.replace(self.held, seen=False, secret=False)
        if before.keystore != self.entries.keystore:
            self.held = dataclasses.replace(self.held, passphrase=False)

    def hold(self, **facts: bool) -> None:
        """A secret is at hand, or no longer."""
        self.held = dataclasses.replace(self.held, **facts)

    def needs(self, page: PageId | None = None) -> tuple[Need, ...]:
        """What `page` (the present one) still wants; nothing when it may be left forwards."""
        return _NEEDS.get(page or self.page, lambda _entries, _held: ())(self.entries, self.held)

    @property
    def following(self) -> PageId | None:
        """Where `next` would lead; None on the last page. Words that were confirmed are not shown again."""
        rest = self.route[self.route.index(self.page) + 1 :]
        if self.held.secret:
            rest = tuple(page for page in rest if page not in _SHOWN_ONCE)
        return rest[0] if rest else None

    @property
    def preceding(self) -> PageId | None:
        """Where `back` would lead. From the words it is the key's page: they are shown once, so new ones come."""
        before = [
            page for page in self.route[: self.route.index(self.page)] if page not in (PageId.WORDS, PageId.ASKED)
        ]
        return before[-1] if before else None

    @property
    def can_next(self) -> bool:
        return self.following is not None and not self.needs()

    def next(self) -> PageId:
        """Raises MoveNotAllowed while the page needs something, and on the last one."""
        following = self.following
        if following is None or self.needs():
            raise MoveNotAllowed(f"next from {self.page}: {', '.join(self.needs()) or 'the last page'}")
        self.page = following
        return following

    def back(self) -> PageId:
        """Every entry stays. Raises MoveNotAllowed on the first page."""
        preceding = self.preceding
        if preceding is None:
            raise MoveNotAllowed(f"back from {self.page}")
        if self.page in _SHOWN_ONCE:
            self.hold(seen=False, secret=False)
        self.page = preceding
        return preceding

    def begin(self, plan: KeyPlan) -> PageId:
        """Leave the welcome page on one of its three ways. Raises MoveNotAllowed elsewhere."""
        if self.page is not PageId.WELCOME:
            raise MoveNotAllowed(f"begin from {self.page}")
        if plan is KeyPlan.MEMORY:
            self.edit(plan=plan, network="regtest", chain=ChainKind.EMBEDDED, keystore="memory")
        else:
            keystore = "keyring" if self.entries.keystore == "memory" else self.entries.keystore
            self.edit(plan=plan, keystore=keystore)
        return self.next()

    def key_kept(self) -> None:
        """The key is in its store and read back: no way leads to another one any more."""
        if self.entries.plan is not KeyPlan.MEMORY:
            self.edit(plan=KeyPlan.KEPT)

    def to_text(self) -> str:
        """What a restart takes up again: page and entries."""
        fields = dataclasses.asdict(self.entries)
        return json.dumps({"v": VERSION, "page": self.page, "entries": fields}, ensure_ascii=False, indent=1)

    @classmethod
    def from_text(cls, text: str, *, key_kept: bool) -> Machine:
        """What `to_text` wrote, on the furthest page for which everything before is at hand.

        `key_kept` says that the profile has its key by now. StateUnreadable for anything else.
        """
        try:
            fields = json.loads(text)
            if not isinstance(fields, dict) or fields.get("v") != VERSION:
                raise StateUnreadable("it was not written by this version")
            entries, wanted = _entries_of(dict(fields["entries"])), PageId(fields["page"])
        except StateUnreadable:
            raise
        except (ValueError, TypeError, LookupError, RecursionError) as error:
            raise StateUnreadable(str(error)) from None
        if key_kept:
            entries = dataclasses.replace(entries, plan=KeyPlan.KEPT)
        elif entries.plan in (KeyPlan.KEPT, KeyPlan.MEMORY):
            entries = dataclasses.replace(entries, plan=KeyPlan.NEW, keystore="keyring")
        machine = cls(entries)
        machine.page = machine.route[0]
        while machine.page is not wanted and machine.can_next and machine.following not in (PageId.WORDS, PageId.START):
            machine.next()
        return machine


def _entries_of(fields: Mapping[str, Any]) -> Entries:
    defaults = Entries()
    known = {each.name: getattr(defaults, each.name) for each in dataclasses.fields(Entries)}
    if fields.keys() - known.keys():
        raise StateUnreadable("it has entries that are not known")
    values: dict[str, Any] = {}
    for name, value in fields.items():
        like = known[name]
        made = tuple(value) if isinstance(like, tuple) else type(like)(value)
        if isinstance(like, tuple) and not (isinstance(value, list) and all(isinstance(part, str) for part in value)):
            raise StateUnreadable(f"{name} is not a list of texts")
        if not isinstance(like, tuple) and not isinstance(value, (str if isinstance(like, str) else type(like))):
            raise StateUnreadable(f"{name} is of another type")
        values[name] = made
    if values.get("network", "bitcoin") not in NETWORKS or values.get("words", 24) not in (12, 24):
        raise StateUnreadable("its network or number of words is none")
    return Entries(**values)


def alias_bytes(alias: str) -> int:
    """As a peer counts it."""
    return len(alias.encode(errors="surrogatepass"))


def _identity(entries: Entries, _held: Held) -> tuple[Need, ...]:
    needs = []
    if alias_bytes(entries.alias) > MAX_ALIAS_BYTES:
        needs.append(Need.ALIAS_TOO_LONG)
    if not entries.alias.isprintable():
        needs.append(Need.ALIAS_UNPRINTABLE)
    if entries.color and not _is_color(entries.color):
        needs.append(Need.COLOR_INVALID)
    return tuple(needs)


def _is_color(text: str) -> bool:
    return len(text) == 6 and all(letter in "0123456789abcdefABCDEF" for letter in text)


def _key(entries: Entries, held: Held) -> tuple[Need, ...]:
    needs = []
    if entries.plan is KeyPlan.RESTORE and not held.secret:
        needs.append(Need.RESTORED_WORDS)
    if entries.keystore == "file" and not held.passphrase:
        needs.append(Need.PASSPHRASE)
    return tuple(needs)


def _words(_entries: Entries, held: Held) -> tuple[Need, ...]:
    return () if held.seen else (Need.WORDS_SEEN,)


def _asked(_entries: Entries, held: Held) -> tuple[Need, ...]:
    return () if held.secret else (Need.ANSWERS,)


def server_fault(text: str) -> bool:
    """Whether an Electrum server is not of the form `HOST:PORT:s` or `HOST:PORT:t`."""
    address, colon, kind = text.rpartition(":")
    return not colon or kind not in ("s", "t") or _address_fault(address)


def _address_fault(text: str) -> bool:
    try:
        host, port = split_host_port(text)
    except AddressError:
        return True
    return not host or port is None


def _servers_fault(entries: Entries) -> bool:
    """Who names none is served by well-known public ones, which the practice network has not."""
    return any(map(server_fault, entries.servers)) or (not entries.servers and entries.network == "regtest")


def _network(entries: Entries, _held: Held) -> tuple[Need, ...]:
    needs = []
    if entries.chain is ChainKind.ELECTRUM and _servers_fault(entries):
        needs.append(Need.SERVERS)
    if entries.chain is ChainKind.BITCOIN_RPC:
        if _address_fault(entries.rpc):
            needs.append(Need.RPC_ADDRESS)
        if not entries.rpc_secret_file:
            needs.append(Need.RPC_SECRET)
    if entries.listen and listening_port(entries) is None:
        needs.append(Need.PORT)
    return tuple(needs)


def listening_port(entries: Entries) -> int | None:
    """The port as a number, the network's own when none was typed; None when what was typed is none."""
    if not entries.port:
        return NETWORKS[entries.network].default_port
    try:
        return parse_port(entries.port)
    except AddressError:
        return None


_NEEDS = {
    PageId.IDENTITY: _identity,
    PageId.KEY: _key,
    PageId.WORDS: _words,
    PageId.ASKED: _asked,
    PageId.NETWORK: _network,
}
_SHOWN_ONCE = (PageId.WORDS, PageId.ASKED)
_ROUTES = {
    KeyPlan.NEW: tuple(PageId),
    KeyPlan.RESTORE: (PageId.WELCOME, PageId.IDENTITY, PageId.KEY, PageId.NETWORK, PageId.START),
    KeyPlan.MEMORY: (PageId.WELCOME, PageId.START),
    KeyPlan.KEPT: (PageId.IDENTITY, PageId.NETWORK, PageId.START),
}
