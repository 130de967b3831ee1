"""Making `gossip_store` files as Core Lightning writes them."""

from __future__ import annotations

from core.gossip.store_format import (
    CHANNEL_ANNOUNCEMENT,
    CHANNEL_UPDATE,
    CURRENT_VERSION,
    FLAG_COMPLETED,
    NODE_ANNOUNCEMENT,
    encode_record,
)

CHANNEL_AMOUNT = 4101
STORE_UUID = 4107
VERSION = bytes([CURRENT_VERSION])


def message(message_type: int, size: int, fill: bytes = b"x") -> bytes:
    return message_type.to_bytes(2, "big") + fill * size


def record(message_type: int, size: int = 100, timestamp: int = 1_700_000_000, flags: int = FLAG_COMPLETED) -> bytes:
    return encode_record(message(message_type, size), timestamp, flags)


def store(channels: int) -> bytes:
    """A store with its id, and for each channel the announcement, its amount, two updates and one node."""
    one = (
        record(CHANNEL_ANNOUNCEMENT, 430)
        + record(CHANNEL_AMOUNT, 8)
        + record(CHANNEL_UPDATE, 136) * 2
        + record(NODE_ANNOUNCEMENT, 150)
    )
    return VERSION + record(STORE_UUID, 32, timestamp=0) + one * channels
