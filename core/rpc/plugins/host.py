"""The plugins of a node: started with it, asked about peers and their messages, told of events, callable over RPC."""

from __future__ import annotations

import asyncio
from collections import ChainMap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from core.base.clock import Clock
from core.base.events import CustomMessage, Direction, PeerConnected, PeerDisconnected, Subscription
from core.bolt.address import Address
from core.bolt.types import MESSAGE_TYPES
from core.peers.deadlines import Deadlines
from core.peers.hooks import Refused
from core.peers.values import PeerInfo
from core.rpc.commands import COMMANDS
from core.rpc.commands.base import Command, Context, Json
from core.rpc.commands.messages import message_hex
from core.rpc.commands.shapes import address_object
from core.rpc.errors import INVALID_PARAMS, RpcError
from core.rpc.face import NodeFace
from core.rpc.framing import compact, encode_notification
from core.rpc.params import Param, raw_text
from core.rpc.plugins.configuration import configuration, environment
from core.rpc.plugins.events import PluginChanged, PluginState
from core.rpc.plugins.manifest import CUSTOM_MESSAGE_HOOK, PEER_CONNECTED_HOOK, BadManifest, Manifest, Method
from core.rpc.plugins.plugin import Plugin
from core.rpc.plugins.protocol import Answer

_Judge = Callable[[Plugin, Json], bool]
"""Looks at a plugin's answer to a hook; True when the plugins after it shall be asked too."""


class PluginHost:
    """`core.peers.hooks.PeerHooks`. `start` runs the plugins, `ready` waits for them, `aclose` leaves none."""

    def __init__(self, node: NodeFace, clock: Clock) -> None:
        self._node = node
        self._clock = clock
        self._deadlines = Deadlines(clock)
        self._plugins: list[Plugin] = []
        self._starting: list[asyncio.Task[None]] = []
        self._subscriptions: list[Subscription] = []
        self._even_types: frozenset[int] = frozenset()
        self._methods: dict[str, Command] = {}
        own = Command(
            "plugin",
            "plugin",
            "{subcommand} list: the plugins that were started with the node, whether each is active, and if not, why",
            self._plugin_command,
            (Param("subcommand", raw_text),),
            before_active=True,
        )
        self.commands: Mapping[str, Command] = ChainMap(self._methods, {own.name: own}, COMMANDS)
        """Every command of the node, the plugins' included, as they come and go."""

    # -- life

    def start(self, paths: Sequence[str]) -> None:
        """Begin to run the plugins, in this order."""
        if not paths:
            return
        bus, node = self._node.bus, self._node
        self._subscriptions = [
            bus.subscribe(PeerConnected, self._connected),
            bus.subscribe(PeerDisconnected, self._disconnected),
            bus.subscribe(CustomMessage, self._custom_message_came),
        ]
        for path in dict.fromkeys(paths):
            plugin = Plugin(Path(path), self, self._clock, self._deadlines)
            self._plugins.append(plugin)
            work = plugin.bring_up(node.paths.folder, environment(node), configuration(node))
            self._starting.append(asyncio.create_task(work, name=f"start plugin {plugin.path.name}"))

    async def ready(self) -> None:
        """Wait until each plugin is active or has failed; neither takes longer than two silences."""
        if self._starting:
            await asyncio.wait(self._starting)

    async def aclose(self) -> None:
        """End all; returns when their processes are gone."""
        for subscription in self._subscriptions:
            subscription.close()
        for task in self._starting:
            task.cancel()
        await asyncio.gather(*self._starting, return_exceptions=True)
        await asyncio.gather(*(plugin.aclose() for plugin in self._plugins))
        await self._deadlines.aclose()

    # -- what a plugin tells (PluginOwner)

    def accept(self, plugin: Plugin, manifest: Manifest) -> None:
        others = {method.name for other in self._plugins if other is not plugin for method in other.manifest.methods}
        names = [method.name for method in manifest.methods]
        for name in names:
            if name in others or name in COMMANDS or name == "plugin" or names.count(name) > 1:
                raise BadManifest(f"its method {name} is there already")
        for type_ in manifest.custom_messages:
            if type_ in MESSAGE_TYPES and MESSAGE_TYPES[type_].cln_refused:
                raise BadManifest(f"its custom message type {type_} is one of the protocol's own")

    def changed(self, plugin: Plugin) -> None:
        active = [plugin for plugin in self._plugins if plugin.active]
        self._even_types = frozenset().union(*(plugin.manifest.custom_messages for plugin in active))
        self._methods.clear()
        for each in active:
            for method in each.manifest.methods:
                self._methods[method.name] = _command(each, method)
        self._node.bus.publish(PluginChanged(str(plugin.path), plugin.state, plugin.problem))

    # -- what the peer core asks, as its PeerHooks

    def takes(self, type_: int) -> bool:
        return type_ in self._even_types

    def peer_connected(self, peer: PeerInfo, done: Callable[[Refused | None], None]) -> bool:
        chain = [one for one in self._plugins if one.active and PEER_CONNECTED_HOOK in one.manifest.hooks]
        if not chain:
            return False
        shown: Json = {"id": peer.node_id.hex(), "direction": peer.direction.value, "addr": str(peer.address)}
        if peer.remote_addr is not None:
            shown["remote_addr"] = peer.remote_addr
        shown["features"] = peer.features.hex()
        verdict: list[Refused] = []

        def judge(plugin: Plugin, answer: Json) -> bool:
            if answer.get("result") != "disconnect":
                return _continues(plugin, PEER_CONNECTED_HOOK, answer)
            words = answer.get("error_message")
            verdict.append(Refused(words if isinstance(words, str) else None))
            return False

        params = compact({"peer": shown})
        self._ask(chain, PEER_CONNECTED_HOOK, params, judge, lambda: done(verdict[0] if verdict else None))
        return True

    def custom_message(self, peer_id: bytes, message: bytes, done: Callable[[], None]) -> bool:
        type_ = int.from_bytes(message[:2], "big")
        chain = [one for one in self._plugins if one.active and one.manifest.hooks_custom(type_)]
        if not chain:
            return False

        def judge(plugin: Plugin, answer: Json) -> bool:
            return _continues(plugin, CUSTOM_MESSAGE_HOOK, answer)

        params = compact({"peer_id": peer_id.hex(), "payload": message.hex()})
        self._ask(chain, CUSTOM_MESSAGE_HOOK, params, judge, done)
        return True

    def _ask(self, chain: list[Plugin], hook: str, params: str, judge: _Judge, done: Callable[[], None]) -> None:
        """Ask the plugins of `chain` one after the other; one that dies or answers with an error is passed over."""
        while chain and not chain[0].active:
            chain.pop(0)
        if not chain:
            done()
            return
        plugin = chain.pop(0)

        def answered(answer: Answer | None) -> None:
            goes_on = True
            if answer is not None and answer.failure is not None:
                plugin.complain(f"it answered the hook {hook} with an error: {answer.failure.message}")
            elif answer is not None:
                goes_on = judge(plugin, answer.result if isinstance(answer.result, dict) else {})
            if goes_on:
                self._ask(chain, hook, params, judge, done)
            else:
                done()

        plugin.ask(hook, params, answered)

    # -- notifications

    def _connected(self, event: PeerConnected) -> None:
        assert isinstance(event.address, Address)
        address = event.address
        self._tell(
            "connect",
            lambda: {
                "id": event.peer_id.hex(),
                "direction": event.direction.value,
                "address": address_object(address),
            },
        )

    def _disconnected(self, event: PeerDisconnected) -> None:
        self._tell("disconnect", lambda: {"id": event.peer_id.hex()})

    def _custom_message_came(self, event: CustomMessage) -> None:
        if event.direction is Direction.IN:
            self._tell("custommsg", lambda: {"peer_id": event.peer_id.hex(), "payload": message_hex(event)})

    def _tell(self, topic: str, payload: Callable[[], Json]) -> None:
        listening = [plugin for plugin in self._plugins if plugin.active and plugin.manifest.subscribes(topic)]
        if listening:
            notification = encode_notification(topic, {topic: payload()})
            for plugin in listening:
                plugin.tell(notification)

    # -- RPC

    def _plugin_command(self, _context: Context, *, subcommand: str) -> Json:
        if subcommand != "list":
            raise RpcError(INVALID_PARAMS, f"Unknown subcommand '{subcommand}'")
        return {"command": "list", "plugins": [_row(plugin) for plugin in self._plugins]}


def _row(plugin: Plugin) -> Json:
    found: Json = {"name": str(plugin.path), "active": plugin.active}
    if plugin.state is PluginState.ENDED:
        found["problem"] = plugin.problem
    return found


def _continues(plugin: Plugin, hook: str, answer: Json) -> bool:
    """Whatever else it says, the plugins after it are asked too: none of these hooks can do more."""
    if answer.get("result") != "continue":
        plugin.complain(f"its answer to the hook {hook} means nothing here")
    return True


def _command(plugin: Plugin, method: Method) -> Command:
    async def run(context: Context) -> Any:
        return await plugin.call(method.name, context.params.raw)

    return Command(
        method.name,
        "plugin",
        method.description,
        run,
        before_active=True,
        extra_params=True,
        usage_words=method.usage,
    )
