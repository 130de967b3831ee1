"""Bounds of what gossip may cost us, with their reasons."""

from __future__ import annotations

BATCH_RECORDS = 256
"""Records in one frame to a worker: 7 ms of updates. With fewer than 64 each the calls cost more than they bring."""

BATCH_BYTES = 48 * 1024
"""The same in bytes. The next frame fits the pipe (64 KB on Linux) as a whole, so a worker that has finished one has
another without waiting for the loop's turn; 110 announcements, 12 ms."""

BATCHES_A_WORKER = 2
"""One that it works on and one that waits in its pipe; whoever brings more is kept waiting."""

BATCH_DEATHS = 3
"""Workers that may die at one and the same batch before it is given up: it could be what kills them."""

STILLBORN_WORKERS = 3
"""Workers in a row that may end before they are ready until none is started any more."""

NODE_KEYS = 16_384
"""Parsed keys of nodes that a worker remembers; the whole network has about as many. Finding the point of a key is a
tenth of a verification. Keys of funding outputs come once and are not remembered."""

SEEN_GENERATIONS = 10
SEEN_A_GENERATION = 19_000
"""Records remembered as seen: the last 171,000 to 190,000, a few more than the whole network has. A set of so many
numbers is just below its next growth, and making, growing or dropping one takes less than a millisecond."""
