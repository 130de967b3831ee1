"""For each step of the recorded session a change to the program that turns this step red, and none before it."""

from __future__ import annotations

from tests.acceptance.mutations import Mutation

_MANAGER = "core/peers/manager.py"

SESSION_MUTATIONS: dict[str, Mutation] = {
    "connect_to_ldk_and_electrum": Mutation(
        "core/rpc/commands/shapes.py", '"direction": peer.direction.value', '"direction": "in"'
    ),
    "custom_messages_both_ways": Mutation(
        "core/rpc/commands/messages.py", "peers.send_custom(node_id, msg)", "peers.send_custom(node_id, msg[:-1])"
    ),
    "ping_and_pong_with_electrum": Mutation(
        _MANAGER,
        "session.send(Ping(pong_bytes, bytes(length)).encode())",
        "return _PONG_HEADER_BYTES + pong_bytes",
    ),
    "saved_peers_come_back_after_our_restart": Mutation(
        "core/activation/lightning.py", "peers.reconnect_saved(saved)", "pass"
    ),
    "disconnect_from_electrum": Mutation(
        "core/rpc/commands/connecting.py",
        "await context.node.peers.disconnect(id.node_id, force=force)",
        "context.node.peers.check_disconnect(id.node_id, force=force)",
    ),
    "disconnect_is_refused_while_there_is_a_channel": Mutation(
        _MANAGER, "if state is not None and not force:", "if state is not None and force:"
    ),
    "disconnect_by_force": Mutation(
        _MANAGER, "self.check_disconnect(node_id, force=force)", "self.check_disconnect(node_id)"
    ),
    "connect_to_a_known_peer_by_its_id_alone": Mutation(
        _MANAGER, "remembers=not config.cln_strict", "remembers=config.cln_strict"
    ),
    "a_ban_ends_the_connection": Mutation(
        _MANAGER, "if disconnect:\n            await self._end_banned", "if False:\n            await self._end_banned"
    ),
    "a_banned_peer_is_not_dialled": Mutation(
        _MANAGER, "if ban is not None:\n                raise Banned(", "if False:\n                raise Banned("
    ),
    "a_banned_peer_is_not_let_in": Mutation(_MANAGER, "return self.bans.of_node(node_id) is not None", "return False"),
    "without_the_ban_it_may_come_again": Mutation(
        "core/rpc/commands/saved.py", "await node.peers.bans.lift(subject)", "pass"
    ),
}
