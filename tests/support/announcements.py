"""Signing and verifying announcements, by the public face of coincurve alone."""

from __future__ import annotations

from dataclasses import replace

from coincurve import PrivateKey, PublicKey
from coincurve.ecdsa import cdata_to_der, deserialize_compact

from core.bolt.gossip import ChannelAnnouncement, ChannelUpdate, NodeAnnouncement, signed_part

NO_SIGNATURE = bytes(64)


def compact_signature(digest: bytes, key: PrivateKey) -> bytes:
    """64 bytes; the same for the same digest and key (RFC 6979)."""
    return key.sign_recoverable(digest, hasher=None)[:64]


def compact_verifies(digest: bytes, signature: bytes, key: bytes) -> bool:
    """ValueError when `key` is no point or `signature` is beyond the group's order."""
    return PublicKey(key).verify(cdata_to_der(deserialize_compact(signature)), digest, hasher=None)


def is_genuine(message: bytes, signer: bytes | None = None) -> bool:
    """Whether every signature of an announcement or update is right."""
    digest, checks = signed_part(message, signer)
    return all(compact_verifies(digest, signature, key) for signature, key in checks)


def signed_channel(
    announcement: ChannelAnnouncement, nodes: tuple[PrivateKey, PrivateKey], bitcoin: tuple[PrivateKey, PrivateKey]
) -> bytes:
    """The message with its four signatures; the keys are those that `announcement` names, in its order."""
    bare = announcement.encode()
    digest = signed_part(bare).digest
    signatures = b"".join(compact_signature(digest, key) for key in (*nodes, *bitcoin))
    return bare[:2] + signatures + bare[2 + len(signatures) :]


def signed(announcement: NodeAnnouncement | ChannelUpdate, key: PrivateKey) -> bytes:
    """The message signed by `key`, whatever signature `announcement` bears."""
    digest = signed_part(replace(announcement, signature=NO_SIGNATURE).encode(), b"").digest
    return replace(announcement, signature=compact_signature(digest, key)).encode()
