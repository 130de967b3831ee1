"""The database's versions: what each migration does.

`user_version` counts them. A migration is a tuple of statements that run in one transaction together with the new
`user_version`; a released one is never edited, a database of every released version stays in the tests.
"""

from __future__ import annotations

from dataclasses import dataclass

APPLICATION_ID = 0x4C455944
"""`LEYD`: tells our database from any other SQLite file."""


@dataclass(frozen=True, slots=True)
class Migration:
    """From version `to_version - 1` to `to_version`."""

    to_version: int
    statements: tuple[str, ...]


MIGRATIONS: tuple[Migration, ...] = (
    Migration(
        1,
        (
            f"PRAGMA application_id = {APPLICATION_ID}",
            "CREATE TABLE meta (key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID",
            """CREATE TABLE peers (
                node_id BLOB NOT NULL PRIMARY KEY CHECK (length(node_id) = 33),
                saved_at REAL NOT NULL
            ) STRICT, WITHOUT ROWID""",
            """CREATE TABLE peer_addresses (
                node_id BLOB NOT NULL REFERENCES peers (node_id) ON DELETE CASCADE,
                kind TEXT NOT NULL,
                host TEXT NOT NULL,
                port INTEGER NOT NULL CHECK (port BETWEEN 0 AND 65535),
                used_at REAL NOT NULL,
                PRIMARY KEY (node_id, kind, host, port)
            ) STRICT, WITHOUT ROWID""",
            """CREATE TABLE channels (
                channel_id BLOB NOT NULL PRIMARY KEY CHECK (length(channel_id) = 32),
                node_id BLOB NOT NULL CHECK (length(node_id) = 33),
                state TEXT NOT NULL,
                opener TEXT NOT NULL CHECK (opener IN ('local', 'remote')),
                funding_txid BLOB NOT NULL CHECK (length(funding_txid) = 32),
                funding_output INTEGER NOT NULL CHECK (funding_output BETWEEN 0 AND 65535),
                funding_sat INTEGER NOT NULL CHECK (funding_sat >= 0),
                funding_height INTEGER,
                short_channel_id TEXT,
                private INTEGER NOT NULL CHECK (private IN (0, 1)),
                changed_at REAL NOT NULL
            ) STRICT, WITHOUT ROWID""",
            "CREATE INDEX channels_by_node ON channels (node_id)",
        ),
    ),
    Migration(
        2,
        (
            "ALTER TABLE peers ADD COLUMN label TEXT NOT NULL DEFAULT '' CHECK (length(label) <= 64)",
            "ALTER TABLE peers ADD COLUMN note TEXT NOT NULL DEFAULT '' CHECK (length(note) <= 2000)",
            "ALTER TABLE peer_addresses ADD COLUMN failed_at REAL",
            "ALTER TABLE peer_addresses ADD COLUMN learnt TEXT NOT NULL DEFAULT 'connect'",
            """CREATE TABLE bans (
                subject TEXT NOT NULL PRIMARY KEY,
                until REAL NOT NULL,
                banned_at REAL NOT NULL
            ) STRICT, WITHOUT ROWID""",
        ),
    ),
    Migration(
        3,
        (
            """CREATE TABLE funding_outputs (
                short_channel_id INTEGER NOT NULL PRIMARY KEY,
                txid BLOB NOT NULL CHECK (length(txid) = 32)
            ) STRICT""",
            "CREATE INDEX funding_outputs_by_txid ON funding_outputs (txid)",
        ),
    ),
)
"""Oldest first, without a gap."""

KNOWN_VERSION = MIGRATIONS[-1].to_version
