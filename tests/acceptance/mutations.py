"""For each check a change to the program that must turn it red: what is never seen to fail shows nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Mutation:
    """Replace `old`, which stands in `file` exactly once, by `new`."""

    file: str
    old: str
    new: str


def apply(mutation: Mutation, tree: Path) -> None:
    """Change the file below `tree`; AssertionError when `old` is not there exactly once."""
    path = tree / mutation.file
    text = path.read_text()
    found = text.count(mutation.old)
    assert found == 1, f"{mutation.old!r} stands {found} times in {mutation.file}"
    path.write_text(text.replace(mutation.old, mutation.new))


MUTATIONS: dict[str, Mutation] = {
    "activation": Mutation("core/rpc/server.py", "SOCKET_MODE = 0o600", "SOCKET_MODE = 0o644"),
    "three_commands_with_ldk": Mutation(
        "core/rpc/commands/messages.py", "peers.send_custom(node_id, msg)", "peers.send_custom(node_id, msg[:-1])"
    ),
    "ldk_dials": Mutation(
        "core/bolt/noise.py",
        "self._receiving, self._sending = symmetric.split()",
        "self._sending, self._receiving = symmetric.split()",
    ),
    "electrum_both_ways": Mutation(
        "core/peers/session.py",
        "self.config.offer_gossip_queries or self.gossip is not None",
        "self.config.offer_gossip_queries",
    ),
    "rotation_with_pyln": Mutation("core/bolt/noise.py", "_USES_OF_A_KEY = 1000", "_USES_OF_A_KEY = 1002"),
    "errors_as_the_reference": Mutation("core/rpc/errors.py", "no address known for peer", "no address known"),
    "pyln_client_drives_the_socket": Mutation("core/rpc/notifications.py", '_tell("custommsg"', '_tell("custom"'),
    "no_peer_is_made_to_force_close": Mutation(
        "core/peers/no_channels.py",
        'session.send(WarningMessage(channel_id, f"Unknown',
        'session.send(ErrorMessage(channel_id, f"Unknown',
    ),
    "an_unknown_even_message_ends_the_session_after_a_warning": Mutation(
        "core/peers/session.py",
        "self.warn_and_close(\n            closed_by_us(CloseCode.UNKNOWN_EVEN",
        "print(\n            closed_by_us(CloseCode.UNKNOWN_EVEN",
    ),
    "killed_at_any_moment_it_starts_again": Mutation(
        "core/storage/profile.py", "os.unlink(path)\n        return path", "pass\n        return path"
    ),
    "one_profile_one_node": Mutation(
        "core/storage/profile.py", "fcntl.LOCK_EX | fcntl.LOCK_NB", "fcntl.LOCK_SH | fcntl.LOCK_NB"
    ),
    "no_silent_fallback_for_the_key": Mutation(
        "core/node.py", "kind = keystore or await self._keystore_kind(marker)", 'kind = "memory"'
    ),
}
