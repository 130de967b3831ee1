"""Bounds of what gossip may cost us, with their reasons."""

from __future__ import annotations

BATCH_RECORDS = 256
"""Records in one frame to a worker: 7 ms of updates. With fewer than 64 each the calls cost more than they bring."""

BATCH_BYTES = 48 * 1024
"""The same in bytes. The next frame fits the pipe (64 KB on Linux) as a whole, so a worker that has finished one has
another without waiting for the loop's turn; 110 announcements, 12 ms."""

MOST_WORKERS = 4
"""Processes that verify signatures, where there are so many cores: a whole network takes five seconds of two. Each
holds 20 MB."""

WORKER_NICENESS = 10
"""How far they stand back: with a ninth of its weight they leave the window its frames, and have all that is left."""

BATCHES_A_WORKER = 2
"""One that it works on and one that waits in its pipe; whoever brings more is kept waiting."""

BATCH_DEATHS = 3
"""Workers that may die at one and the same batch before it is given up: it could be what kills them."""

STILLBORN_WORKERS = 3
"""Workers in a row that may end before they are ready until none is started any more."""

WORKER_SILENT_S = 15.0
"""A worker that answered nothing for so long, and at most twice as long, is killed and its batches are done again: it
was stopped or hangs. A batch takes 12 ms, a start a second; both more on a machine that is very busy."""

NODE_KEYS = 16_384
"""Parsed keys of nodes that a worker remembers; the whole network has about as many. Finding the point of a key is a
tenth of a verification. Keys of funding outputs come once and are not remembered."""

SEEN_GENERATIONS = 10
SEEN_A_GENERATION = 19_000
"""Records remembered as seen: the last 171,000 to 190,000, a few more than the whole network has. A set of so many
numbers is just below its next growth, and making, growing or dropping one takes less than a millisecond."""

BATCH_TO_VERIFY = 192
"""Records that ingest takes at once: worth a call of each of two workers, and 1 ms of the loop. 512 made ticks of the
window of 35 ms under a flood."""
NODES_A_TURN_BYTES = 16 * 1024
"""Of announcements of nodes read without a turn of the loop: 2,300 addresses, 2 ms."""
TOLD_AT_ONCE = 128
NODES_TOLD_AT_ONCE = 8
"""Of what was taken, how many are looked at without a turn of the loop for who may be told of them: 1 ms. A node's
addresses are read for that, and its channels looked for among all."""
BATCHES_UNDER_WAY = 8
"""Some are verified while another is screened or kept. With a third as much the workers waited a third of the time."""

UNVERIFIED_A_PEER = 4_096
"""Records of one peer that may wait for their verdict; with more it is not read until half of them have one: more than
the batches under way, or the workers would wait for it."""
UNVERIFIED = 16_384
"""The same of all peers, a few megabytes; beyond it each may have no more than the next number."""
UNVERIFIED_A_PEER_IN_A_CROWD = 64

LONGEST_RECORD = 2_048
"""Bytes of an announcement or update that is looked at. The longest of mainnet have some hundreds; LDK keeps none with
more than 1,024 beyond what it knows. At BOLT 1's 65,535 a peer's share of channels would be 5 GB of disk and, with what
their nodes say, as much memory."""
UPDATES_A_PERIOD = 10
UPDATES_PERIOD_S = 600.0
"""How often one direction of a channel, or one node, may replace what it said: the newest is all that counts, and each
one is stored here and passed on by everybody (LND: one a minute, ten at once). What is more is asked for later."""

UNCHECKED_A_PEER = 80_000
"""Channels that one peer may bring while the chain is not asked: anybody can sign any number of them. A whole network
and half of another."""
UNCHECKED = 120_000
"""The same in all."""
UNCHECKED_A_PEER_IN_A_CROWD = 256
"""What each may bring once there are `UNCHECKED_A_PEER` of them in all: the rest is room for many, and not for who
comes first."""
BLOCKS_AHEAD = 12
"""How far above our tip a channel's block may be: others tell of it once it is six deep, and we may be behind. Nobody
asks the chain about what is further, so it would take up room for ever."""
TIP_OF_TODAY_S = 24 * 3600
"""A tip older than this is that of a chain still being read, and says nothing of where the chain ends."""
LIES_A_PEER = 64
"""Channels that the chain never held, more than were right, that one peer may bring before it is warned and closed on.
Some may stand in its graph by no fault of its own."""
UNCHECKED_A_LIAR = 256
"""What a peer may have waiting for the chain once one of its channels was not there."""
LIARS = 1_024
"""Peers whose lies are remembered, also when they come again."""

CHECKED_AT_DEPTH = 6
"""BOLT 7: confirmations of a funding output before anybody is told of its channel."""
CHECKS_AT_ONCE = 64
"""Channels that are looked up, stored and told together: a commit to the disk, and 3 ms of the loop."""
CHECK_RETRY_S = 30.0
LONGEST_CHECK_RETRY_S = 3_600.0
"""How long what the chain could not tell waits until it is asked again, or until the next block: twice as long after
each round, since a pruned node never knows its oldest blocks."""
REFUTED = 20_000
"""Channels remembered as not on the chain, so that it is not asked again for what peers repeat: some megabytes."""
REORGANISED_UNSEEN_BLOCKS = 100
"""How far down channels are asked for again when the chain was reorganised while we were away, nobody knows how far."""
SPENDS_READ_BLOCKS = 4_320
"""Blocks that are read for what they spend when we were away: a month. After longer, pruning has taken over."""

OLDEST_UPDATE_S = 14 * 24 * 3600
FURTHEST_AHEAD_S = 24 * 3600
"""Timestamps of updates that are taken lie between, measured from now (Core Lightning)."""

STREAMING_PEERS = 5
"""How many peers send us what is new: one may be silent about something, five hardly are (Core Lightning: up to 10)."""
BACKLOG_S = 600
"""What a streaming peer is asked for from before now (Core Lightning)."""
CHECK_INTERVAL_S = 3_600.0
"""How often one peer is asked for the whole list, in case that something was missed."""
ROTATE_INTERVAL_S = 1_500.0
"""How often the streaming peer that told the least gives its place to another."""
ANSWER_TIMEOUT_S = 60.0
"""How long a peer may be silent in the middle of an answer until another one is asked."""
IDS_A_QUERY = 1_000
"""Channels asked for at once: up to 900 KB, which is sent within seconds, so that a timeout means something."""
ANSWER_LONGEST_S = 3_600.0
"""How long a whole answer may take, whatever comes meanwhile: what one that is slower still has is asked of another."""
LISTED_CHANNELS = 250_000
"""Short channel ids that one answer may name, five times mainnet; a peer that names more is not listened to."""
LISTS_WAITING = 128
"""Parts of a list that wait to be looked at: 8 MB, and more than so many channels take with all that is told."""

SERVED_AT_ONCE = 32
"""Channels, or nodes, read from the store in one piece for a peer that asked."""
SERVED_BYTES_S = 1_000_000.0
"""What is served to one peer (Core Lightning)."""
LOOKED_AT_BYTES = 100
"""What looking at a channel counts in it, whether or not it is told: 20 us of the loop at most, a fifth of the share. A
filter that lets nothing through takes 48 bytes to send, and would have us look at 50,000 channels without a pause."""
SERVED_UNSENT_BYTES = 16 * 1024
"""Nothing more is served while so much is unsent. Far below where the peer core stops to read a peer that does not:
two nodes that serve each other would wait for each other otherwise."""
QUERIES_WAITING = 4
"""Range queries that one peer may have waiting; with more it is warned and they are passed over."""
BROADCAST_INTERVAL_S = 60.0
"""BOLT 7: what is new goes out once in 60 seconds, to each peer at a moment of its own."""
RECENT = 20_000
"""New messages kept for those that are still to be sent them; who lags behind asks for the list."""
ECHO_GENERATIONS = 2
ECHO_A_GENERATION = 2_048
"""Messages that a peer sent us, remembered so that they are not sent back to it."""
