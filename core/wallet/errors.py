"""What can go wrong with the node's key, one type for each thing a person must tell apart. No fact is ever a secret."""

from __future__ import annotations

from pathlib import Path

from core.base.errors import LeydenError


class NoUsableKeyring(LeydenError):
    """The system offers no password store that is trusted with a key."""

    def __init__(self, *, found: str, reason: str) -> None:
        super().__init__(found=found, reason=reason)
        self.found = found
        """What was there instead, as a dotted class name; empty when nothing was."""
        self.reason = reason


class KeyringLocked(LeydenError):
    """The keyring is locked, or its owner dismissed the question. Nothing was read or written."""

    def __init__(self, *, backend: str) -> None:
        super().__init__(backend=backend)
        self.backend = backend


class KeyringFailed(LeydenError):
    """The keyring does not answer as it should, or does not give back what it was given."""

    also_raised = True

    def __init__(self, *, backend: str, reason: str) -> None:
        super().__init__(backend=backend, reason=reason)
        self.backend = backend
        self.reason = reason


class KeyNotSaved(KeyringFailed):
    """The keyring refused to take the key, in its own words (Windows: 1783, 8). It holds nothing under its name."""


class KeyMissing(LeydenError):
    """This profile belongs to a node whose key is not where it should be. Nothing was created in its place."""

    def __init__(self, *, where: str, node_id: bytes, kept_in: str) -> None:
        super().__init__(where=where, node_id=node_id.hex(), kept_in=kept_in)
        self.where = where
        """Where it was looked for now."""
        self.node_id = node_id
        self.kept_in = kept_in
        """The kind of key store that it was last seen in: `keyring` or `file`."""


class WrongKey(LeydenError):
    """There is a key, and it is another node's."""

    def __init__(self, *, where: str, found: bytes, expected: bytes) -> None:
        super().__init__(where=where, found=found.hex(), expected=expected.hex())
        self.where = where
        self.found = found
        """Node id of the key that is there."""
        self.expected = expected
        """Node id that this profile belongs to."""


class KeyDamaged(LeydenError):
    """What is kept as the key, or as the profile's record of it, cannot be read. It was not touched."""

    def __init__(self, *, where: str, reason: str) -> None:
        super().__init__(where=where, reason=reason)
        self.where = where
        self.reason = reason


class KeyKindUnsupported(LeydenError):
    """The key is of a kind that this version keeps but cannot open; it is never turned into another kind."""

    def __init__(self, *, where: str, kind: str) -> None:
        super().__init__(where=where, kind=kind)
        self.where = where
        self.kind = kind


class WrongPassphrase(LeydenError):
    """The key file is whole, and the passphrase does not open it."""

    def __init__(self, *, path: Path) -> None:
        super().__init__(path=str(path))
        self.path = path


class PassphraseNeeded(LeydenError):
    """The encrypted key file needs a passphrase, to open it or to make it."""

    def __init__(self, *, path: Path) -> None:
        super().__init__(path=str(path))
        self.path = path


class PassphraseFileUnsafe(LeydenError):
    """The file given as `--passphrase-file` cannot be relied on."""

    def __init__(self, *, path: Path, reason: str) -> None:
        super().__init__(path=str(path), reason=reason)
        self.path = path
        self.reason = reason


class KeyFileDamaged(LeydenError):
    """The key file is not as it was written. It was left as it is."""

    def __init__(self, *, path: Path, reason: str) -> None:
        super().__init__(path=str(path), reason=reason)
        self.path = path
        self.reason = reason


class KeyFileUnsafe(LeydenError):
    """The key file is a link, another user's, open to others, or another network's. It was not read."""

    def __init__(self, *, path: Path, reason: str) -> None:
        super().__init__(path=str(path), reason=reason)
        self.path = path
        self.reason = reason


class KeyFileFailed(LeydenError):
    """The system refused to read or write the key file."""

    def __init__(self, *, path: Path, reason: str) -> None:
        super().__init__(path=str(path), reason=reason)
        self.path = path
        self.reason = reason


class MemoryKeyRefused(LeydenError):
    """A key for real money is not kept in memory alone, unless the whole profile is declared ephemeral."""

    def __init__(self, *, network: str) -> None:
        super().__init__(network=network)
        self.network = network


class KeyInTheWay(LeydenError):
    """Words were given for a profile that has another node's key. Neither was changed."""

    def __init__(self, *, where: str, found: bytes, offered: bytes) -> None:
        super().__init__(where=where, found=found.hex(), offered=offered.hex())
        self.where = where
        self.found = found
        """Node id of the key that is there."""
        self.offered = offered
        """Node id that the words make."""


class KeyStorePinned(LeydenError):
    """A setting says where the key is; moved elsewhere, it would be missed at the next start. Nothing was moved."""

    def __init__(self, *, origin: str, keystore: str) -> None:
        super().__init__(origin=origin, keystore=keystore)
        self.origin = origin
        """Where the setting stands: `config`, `env` or `args`."""
        self.keystore = keystore


class KeysLocked(LeydenError):
    """The keys are locked: first `unlock`."""


class WordUnknown(LeydenError):
    """A typed word is in no list. It is named by its place alone: it may be a slip in a real word."""

    def __init__(self, *, position: int) -> None:
        super().__init__(position=position)
        self.position = position
        """Counted from 1."""


class WordsCount(LeydenError):
    """Neither 12 nor 24 words."""

    def __init__(self, *, count: int) -> None:
        super().__init__(count=count)
        self.count = count


class WordsChecksum(LeydenError):
    """Each word is in the list, and together they are no key: one is another word, or two changed places."""


class WordsOfLnd(LeydenError):
    """24 words of LND's own format (aezeed), which looks alike and is read in another way."""


class WordsMistaken(LeydenError):
    """Words that were asked back are not those that were shown."""

    def __init__(self, *, positions: tuple[int, ...]) -> None:
        super().__init__(positions=positions)
        self.positions = positions
        """Counted from 1."""


class WordsNotShown(LeydenError):
    """These words are not shown any more, or were not asked back yet. A new draft has words of its own."""
