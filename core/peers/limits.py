"""Every bound of the peer core, with its reason, in one place."""

from __future__ import annotations

from dataclasses import dataclass

from core.bolt.address import Address, AddressKind

READ_BYTES = 8 * 1024
"""One read of one peer: small bites keep the window alive (measured: 256 KB reads cost frames)."""

READ_MORE_BYTES = 64 * 1024
"""One read after a read that was full, when neither the peer's allowance nor the line of those who wait forbids it: a
read costs as much as a few messages, and the budget still stops between any two of them. Also one of a message that is
known to be longer than a small read: its bytes cost little before it is whole."""

READ_MOST_BYTES = 256 * 1024
"""One read when both hold. Short messages are never read so many at once: the tick would be 1 ms later (measured)."""

FLOODS = 16
"""With so many in line a full read is no reason for a larger one, so that what waits stays a few megabytes."""

TURN_S = 0.0016
"""What all peers together may use of one turn of the loop. A 16 ms tick that falls into a turn waits for its end, so
two ticks can be off by a turn each way: with 200 peers the 99th percentile is 19.4 ms at 4 ms, 18.0 ms at 2 ms and
17.2 ms at 1.5 ms, where one peer alone gets 88 % of what the core does without a window."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds that a test may tighten."""

    handshake_s: float = 60.0
    """Handshake and init together, after the TCP connection stands (CLN's connection_timeout_secs)."""
    proxy_s: float = 120.0
    """How long a proxy may take to reach a peer: Tor itself gives a stream two minutes."""
    drain_s: float = 5.0
    """How long a closing connection may take to send what is queued (CLN: then "forcing close")."""
    incoming: int = 400
    """Incoming peers in all; with one more the least useful leaves (`crowd`). Node ids cost nothing, so a stranger
    could otherwise take every file descriptor of the process, and with them the RPC socket and the database. With the
    next limit, and room for our own dials and RPC clients, it stays below the 1,024 that many systems begin with."""
    unauthenticated: int = 400
    """Incoming connections that have not yet completed their init, in all; one more is refused."""
    unauthenticated_per_host: int = 200
    """The same from one address, so that one host alone cannot keep the others out."""
    unauthenticated_by_onion: int = 100
    """The same through our onion service, where nobody has an address: fewer, so that who floods it keeps out only
    those who come the same way."""
    in_bytes_s: float = 1_000_000.0
    """What one peer may bring in (CLN's throttle); above it reading pauses. Far more than channels or gossip need."""
    in_bytes_burst: float = 1_000_000.0
    """As much at once, after a second of rest; the longest message has 65,569 bytes on the wire."""
    in_messages_s: float = 10_000.0
    """The same in messages, since small ones cost by the piece: 1,000,000 bytes are 25,000 pings and would take all of
    a core. Channel messages of 100 bytes and more reach the bound of bytes first."""
    in_messages_burst: float = 10_000.0
    in_pause_s: float = 0.1
    """The shortest pause in reading, so that a flood costs ten deadlines a second and not one a read."""
    onion_messages_s: float = 4.0
    """Handled of one peer; CLN: a token a millisecond, 250 for each."""
    onion_messages_burst: float = 4.0
    gossip_s: float = 200.0
    """Announcements and updates handled of one peer: the whole network makes a few a second, and each one costs up to
    four signatures to check."""
    gossip_burst: float = 200_000.0
    """Once the whole graph, of which mainnet has about 130,000 messages."""
    queries_s: float = 10.0
    """Gossip queries answered; those who sync ask one after the other, and each answer costs us more than the question
    costs them."""
    queries_burst: float = 100.0
    write_high_bytes: int = 64 * 1024
    """Unsent bytes from which on a peer is no longer read, so that it cannot make us answer without end."""
    write_low_bytes: int = 16 * 1024
    """Unsent bytes at which it is read again."""
    write_max_bytes: int = 32 * 1024 * 1024
    """Unsent bytes at which a peer that does not read is dropped."""
    write_stall_s: float = 60.0
    """How long unsent bytes may stay above the high water before the peer is dropped."""
    silence_s: float = 60.0
    """Without any message for this long we ping (CLN)."""
    ping_timer_min_s: float = 15.0
    ping_timer_jitter_s: float = 30.0
    """The conduct of CLN: looked at every 15 to 45 s; a ping still unanswered at the next look ends the connection."""
    jump_s: float = 10.0
    """Wall and monotonic clock apart by this much: the machine slept or the clock was set."""
    jump_pong_s: float = 10.0
    """After such a jump each peer has this long to answer a ping."""
    backoff_first_s: float = 1.0
    backoff_max_s: float = 300.0
    """Reconnecting waits 1 s, doubling to 300 s, and 0 to 1 s more; 300 s of connection start it anew (CLN)."""
    reconnects_at_once: int = 10
    ring_messages: int = 10_000
    ring_bytes: int = 32 * 1024 * 1024
    """Custom messages kept in memory: as many, and payloads of as many bytes; the oldest leave first."""
    closed_kept: int = 1_000
    """Ends of connections remembered with their reasons."""
    notice_characters: int = 1_000
    """Of a peer's error or warning text, what is kept and shown."""

    def unauthenticated_at(self, address: Address) -> int:
        """How many such connections may come from where this one does."""
        by_onion = address.kind is AddressKind.TORV3
        return self.unauthenticated_by_onion if by_onion else self.unauthenticated_per_host


DEFAULT_LIMITS = Limits()
