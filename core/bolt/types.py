"""Message types by number: name, group, where they are specified, and whether CLN's `sendcustommsg` refuses them.

Read from the BOLTs (a377265) and the sources of CLN and LND; `cln_refused` is CLN's "managed internally".
"""

from __future__ import annotations

from typing import NamedTuple

CUSTOM_TYPE_MIN = 32_768
"""BOLT 1: types from here up are for experiments and custom messages."""


class MessageInfo(NamedTuple):
    """One row of the table."""

    type: int
    name: str
    group: str
    """`setup`, `channel`, `commitment`, `routing`, `custom` or `other`."""
    spec_ref: str
    cln_refused: bool


_ROWS = (
    MessageInfo(0, "protocol_batch_element", "setup", "CLN-only (not in BOLTs)", True),
    MessageInfo(1, "warning", "setup", "01-messaging.md:355", True),
    MessageInfo(2, "stfu", "setup", "02-peer-protocol.md:1477", True),
    MessageInfo(7, "peer_storage", "setup", "01-messaging.md:523", False),
    MessageInfo(9, "peer_storage_retrieval", "setup", "01-messaging.md:529", False),
    MessageInfo(16, "init", "setup", "01-messaging.md:280", True),
    MessageInfo(17, "error", "setup", "01-messaging.md:349", True),
    MessageInfo(18, "ping", "setup", "01-messaging.md:430", True),
    MessageInfo(19, "pong", "setup", "01-messaging.md:442", True),
    MessageInfo(32, "open_channel", "channel", "02-peer-protocol.md:676", True),
    MessageInfo(33, "accept_channel", "channel", "02-peer-protocol.md:894", True),
    MessageInfo(34, "funding_created", "channel", "02-peer-protocol.md:955", True),
    MessageInfo(35, "funding_signed", "channel", "02-peer-protocol.md:998", True),
    MessageInfo(36, "channel_ready", "channel", "02-peer-protocol.md:1034", True),
    MessageInfo(38, "shutdown", "channel", "02-peer-protocol.md:2118", True),
    MessageInfo(39, "closing_signed", "channel", "02-peer-protocol.md:2408", True),
    MessageInfo(40, "closing_complete", "channel", "02-peer-protocol.md:2223", True),
    MessageInfo(41, "closing_sig", "channel", "02-peer-protocol.md:2234", True),
    MessageInfo(64, "open_channel2", "channel", "02-peer-protocol.md:1158", True),
    MessageInfo(65, "accept_channel2", "channel", "02-peer-protocol.md:1251", True),
    MessageInfo(66, "tx_add_input", "channel", "02-peer-protocol.md:201", True),
    MessageInfo(67, "tx_add_output", "channel", "02-peer-protocol.md:293", True),
    MessageInfo(68, "tx_remove_input", "channel", "02-peer-protocol.md:342", True),
    MessageInfo(69, "tx_remove_output", "channel", "02-peer-protocol.md:349", True),
    MessageInfo(70, "tx_complete", "channel", "02-peer-protocol.md:372", True),
    MessageInfo(71, "tx_signatures", "channel", "02-peer-protocol.md:410", True),
    MessageInfo(72, "tx_init_rbf", "channel", "02-peer-protocol.md:471", True),
    MessageInfo(73, "tx_ack_rbf", "channel", "02-peer-protocol.md:528", True),
    MessageInfo(74, "tx_abort", "channel", "02-peer-protocol.md:574", True),
    MessageInfo(77, "splice_locked", "channel", "02-peer-protocol.md:1984", True),
    MessageInfo(80, "splice_init", "channel", "02-peer-protocol.md:1626", True),
    MessageInfo(81, "splice_ack", "channel", "02-peer-protocol.md:1693", True),
    MessageInfo(127, "start_batch", "channel", "02-peer-protocol.md:3007", True),
    MessageInfo(128, "update_add_htlc", "commitment", "02-peer-protocol.md:2760", True),
    MessageInfo(130, "update_fulfill_htlc", "commitment", "02-peer-protocol.md:2893", True),
    MessageInfo(131, "update_fail_htlc", "commitment", "02-peer-protocol.md:2907", True),
    MessageInfo(132, "commitment_signed", "commitment", "02-peer-protocol.md:3062", True),
    MessageInfo(133, "revoke_and_ack", "commitment", "02-peer-protocol.md:3182", True),
    MessageInfo(134, "update_fee", "commitment", "02-peer-protocol.md:3229", True),
    MessageInfo(135, "update_fail_malformed_htlc", "commitment", "02-peer-protocol.md:2928", True),
    MessageInfo(136, "channel_reestablish", "commitment", "02-peer-protocol.md:3328", True),
    MessageInfo(137, "update_blockheight", "commitment", "CLN-only (not in BOLTs)", True),
    MessageInfo(256, "channel_announcement", "routing", "07-routing-gossip.md:155", True),
    MessageInfo(257, "node_announcement", "routing", "07-routing-gossip.md:289", True),
    MessageInfo(258, "channel_update", "routing", "07-routing-gossip.md:443", True),
    MessageInfo(259, "announcement_signatures", "routing", "07-routing-gossip.md:70", True),
    MessageInfo(261, "query_short_channel_ids", "routing", "07-routing-gossip.md:638", True),
    MessageInfo(262, "reply_short_channel_ids_end", "routing", "07-routing-gossip.md:664", True),
    MessageInfo(263, "query_channel_range", "routing", "07-routing-gossip.md:749", True),
    MessageInfo(264, "reply_channel_range", "routing", "07-routing-gossip.md:771", True),
    MessageInfo(265, "gossip_timestamp_filter", "routing", "07-routing-gossip.md:867", True),
    MessageInfo(513, "onion_message", "other", "04-onion-routing.md:1615", True),
    MessageInfo(111, "dyn_propose", "channel", "LND only lnwire/message.go:44", False),
    MessageInfo(113, "dyn_ack", "channel", "LND only :45", False),
    MessageInfo(115, "dyn_reject", "channel", "LND only :46", False),
    MessageInfo(117, "dyn_commit", "channel", "LND only :47", False),
    MessageInfo(260, "announcement_signatures_2", "routing", "LND only :60 (gossip v2 draft)", False),
    MessageInfo(267, "channel_announcement_2", "routing", "LND only :66", False),
    MessageInfo(269, "node_announcement_2", "routing", "LND only :67", False),
    MessageInfo(271, "channel_update_2", "routing", "LND only :68", False),
    MessageInfo(777, "kickoff_sig", "other", "LND only :70", False),
    MessageInfo(19533, "commando_cmd_continues", "other", "CLN plugins/commando.c:23", False),
    MessageInfo(19535, "commando_cmd_term", "other", "CLN plugins/commando.c:24", False),
    MessageInfo(22859, "commando_reply_continues", "other", "CLN plugins/commando.c:26", False),
    MessageInfo(22861, "commando_reply_term", "other", "CLN plugins/commando.c:27", False),
    MessageInfo(37913, "lsps0_message_id", "custom", "bLIP-2/bLIP-50", False),
    MessageInfo(63497, "hc_error", "custom", "bLIP-2/17", False),
    MessageInfo(63499, "hc_update_fail_malformed_htlc", "custom", "bLIP-2/17", False),
    MessageInfo(63501, "hc_updated_fail_htlc", "custom", "bLIP-2/17", False),
    MessageInfo(63503, "hc_update_fulfill_htlc", "custom", "bLIP-2/17", False),
    MessageInfo(63505, "hc_update_add_htlc", "custom", "bLIP-2/17", False),
    MessageInfo(65511, "ask_channel_branding", "custom", "bLIP-2/17", False),
    MessageInfo(65525, "hosted_channel_branding", "custom", "bLIP-2/17", False),
    MessageInfo(65527, "state_override", "custom", "bLIP-2/17", False),
    MessageInfo(65529, "state_update", "custom", "bLIP-2/17", False),
    MessageInfo(65531, "last_cross_signed_state", "custom", "bLIP-2/17", False),
    MessageInfo(65533, "init_hosted_channel", "custom", "bLIP-2/17", False),
    MessageInfo(65535, "invoke_hosted_channel", "custom", "bLIP-2/17", False),
)

MESSAGE_TYPES: dict[int, MessageInfo] = {row.type: row for row in _ROWS}


def name_of(type_: int) -> str | None:
    """The specified name, or None for a type that nobody has claimed."""
    info = MESSAGE_TYPES.get(type_)
    return info.name if info else None


def is_custom(type_: int) -> bool:
    """Whether the type lies in the range that BOLT 1 leaves to everyone."""
    return type_ >= CUSTOM_TYPE_MIN
