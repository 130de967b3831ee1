"""What a plugin says of itself: its answer to `getmanifest`, checked (CLN plugin.c, plugin_parse_getmanifest)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

CUSTOM_MESSAGE_HOOK = "custommsg"
PEER_CONNECTED_HOOK = "peer_connected"
HOOKS = frozenset({CUSTOM_MESSAGE_HOOK, PEER_CONNECTED_HOOK})
"""The hooks of ours; one of CLN's others is never called, because what it is about never happens here."""
MAX_NAMES = 1_000
"""Methods, hooks, subscriptions or types of one plugin."""
MAX_CHARACTERS = 10_000
"""Of one name, usage or description."""


class BadManifest(Exception):
    """It is not what `getmanifest` should give; the words say what is wrong."""


@dataclass(frozen=True, slots=True)
class Method:
    """One RPC method of a plugin."""

    name: str
    usage: str
    description: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a plugin brings and what it wants."""

    methods: tuple[Method, ...] = ()
    subscriptions: frozenset[str] = frozenset()
    """Names of notifications; `*` is all of them."""
    hooks: Mapping[str, frozenset[int] | None] = field(default_factory=dict)
    """By name; the message types that it wants to be asked about, None for all."""
    custom_messages: frozenset[int] = frozenset()
    """Even types that are for this plugin and so do not end the connection."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Those that have a default, with it."""
    disabled: str | None = None
    """Why the plugin does not want to run, if so."""

    def hooks_custom(self, type_: int) -> bool:
        """Whether it wants to be asked about a custom message of that type."""
        if CUSTOM_MESSAGE_HOOK not in self.hooks:
            return False
        wanted = self.hooks[CUSTOM_MESSAGE_HOOK]
        return wanted is None or type_ in wanted

    def subscribes(self, topic: str) -> bool:
        """Whether it wants to be told of that."""
        return topic in self.subscriptions or "*" in self.subscriptions


def read_manifest(result: Any) -> Manifest:
    """Raises BadManifest. What we have no use for is not looked at."""
    if not isinstance(result, dict):
        raise BadManifest("the manifest is no object")
    disabled = result.get("disable")
    return Manifest(
        methods=tuple(map(_method, _list(result, "rpcmethods"))),
        subscriptions=frozenset(_text(name, "subscriptions") for name in _list(result, "subscriptions")),
        hooks=dict(map(_hook, _list(result, "hooks"))),
        custom_messages=frozenset(_type(number, "custommessages") for number in _list(result, "custommessages")),
        options=dict(filter(None, map(_option, _list(result, "options")))),
        disabled=None if disabled is None else _text(disabled, "disable"),
    )


def _list(holder: dict[str, Any], name: str) -> list[Any]:
    found = holder.get(name)
    if found is None:
        return []
    if not isinstance(found, list) or len(found) > MAX_NAMES:
        raise BadManifest(f"{name} is no list of at most {MAX_NAMES}")
    return found


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str) or len(value) > MAX_CHARACTERS:
        raise BadManifest(f"{what} holds what is no text of at most {MAX_CHARACTERS} characters")
    return value


def _object(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadManifest(f"{what} holds what is no object")
    return value


def _type(value: Any, what: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 0xFFFF:
        raise BadManifest(f"{what} holds what is no message type")
    return value


def _method(value: Any) -> Method:
    found = _object(value, "rpcmethods")
    name = _text(found.get("name"), "rpcmethods")
    if not name or not name.isprintable() or " " in name:
        raise BadManifest("rpcmethods holds a name that nobody can call")
    return Method(name, _text(found.get("usage", ""), "usage"), _text(found.get("description", ""), "description"))


def _hook(value: Any) -> tuple[str, frozenset[int] | None]:
    if isinstance(value, str):  # as before CLN 0.9.2
        return _text(value, "hooks"), None
    found = _object(value, "hooks")
    name = _text(found.get("name"), "hooks")
    if name != CUSTOM_MESSAGE_HOOK or found.get("filters") is None:
        return name, None
    return name, frozenset(_type(number, "filters") for number in _list(found, "filters"))


def _option(value: Any) -> tuple[str, Any] | None:
    found = _object(value, "options")
    name = _text(found.get("name"), "options")
    return (name, found["default"]) if found.get("default") is not None else None
