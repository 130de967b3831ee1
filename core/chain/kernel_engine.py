"""Bitcoin Core's own kernel (libbitcoinkernel through py-bitcoinkernel), as far as the embedded chain uses it.

Its calls block: everything here runs in worker threads, one at a time. Its databases are in memory; the blocks that it
is given go to a folder of its own, which is worth nothing after it is closed.
"""

from __future__ import annotations

import re
import shutil
import tempfile
import threading
from pathlib import Path
from typing import Any

_REASON = re.compile(r"(?:Block validation error: |FAILED \()(.*?)\)?$")


class KernelMissing(Exception):
    """There is no kernel for this system or this Python; the text says what the import said."""


class _Log:
    """The reason for the last refusal in this thread: the kernel tells it nowhere but in its log."""

    def __init__(self) -> None:
        self._of_thread = threading.local()

    def note(self, line: str) -> None:
        reason = _REASON.search(line.rstrip())
        if reason is not None:
            self._of_thread.reason = reason[1]

    def take(self) -> str:
        reason: str = getattr(self._of_thread, "reason", "")
        self._of_thread.reason = ""
        return reason or "the kernel gives no reason"


_log = _Log()
_loading = threading.Lock()
_loaded: list[Any] = []
"""The module and its one log connection, for the life of the process."""


def load() -> Any:
    """The kernel's module; its import takes about 0.1 s. Raises KernelMissing."""
    with _loading:
        if not _loaded:
            try:
                import pbk
            except (ImportError, OSError, RuntimeError) as error:
                raise KernelMissing(str(error)) from error
            # No time, thread or place in a line, but its category and level.
            pbk.logging_set_options(pbk.LoggingOptions(False, False, False, False, True))
            _loaded.extend((pbk, pbk.LoggingConnection(cb=_log.note)))
    return _loaded[0]


class Kernel:
    """One chain state on regtest; begins at the genesis block. Raises KernelMissing, OSError, RuntimeError."""

    def __init__(self, folder: Path | None) -> None:
        """`folder` is emptied; None makes one among the system's temporary files."""
        self._pbk = load()
        if folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="leyden-kernel-"))
        else:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(mode=0o700, parents=True)
            self._folder = folder
        self._refused: dict[bytes, str] = {}
        checked = self._pbk.ValidationInterfaceCallbacks(block_checked=self._note_checked)
        self._context = self._pbk.make_context(self._pbk.ChainType.REGTEST, validation_callbacks=checked)
        options = self._pbk.ChainstateManagerOptions(self._context, str(self._folder), str(self._folder / "blocks"))
        options.update_block_tree_db_in_memory(True)
        options.update_chainstate_db_in_memory(True)
        options.set_worker_threads_num(0)
        self._manager = self._pbk.ChainstateManager(options)

    @property
    def height(self) -> int:
        """Of its best chain."""
        return int(self._manager.get_active_chain().height)

    def submit(self, block: bytes) -> str | None:
        """Give it a serialised block; the reason when it is refused at once.

        One that is not on the best chain is only looked at from outside: its transactions are checked when its branch
        becomes the best, and `refusal` tells then.
        """
        _log.take()
        try:
            parsed = self._pbk.Block(block)
        except RuntimeError:
            return "no block"
        try:
            self._manager.process_block(parsed)
        except self._pbk.ProcessBlockException:
            return _log.take()
        return self.refusal(bytes(parsed.block_hash))

    def refusal(self, block_hash: bytes) -> str | None:
        """Why the block was refused, for one that was checked in full and was."""
        return self._refused.get(block_hash)

    def holds(self, block_hash: bytes) -> bool:
        """Whether the block is on its best chain."""
        entry = self._entry(block_hash)
        return entry is not None and entry in self._manager.get_active_chain().block_tree_entries

    def read(self, block_hash: bytes) -> bytes:
        """A block that it was given, serialised. Raises KeyError, RuntimeError when it cannot be read."""
        entry = self._entry(block_hash)
        if entry is None:
            raise KeyError(block_hash)
        return bytes(self._manager.blocks[entry])

    def close(self) -> None:
        """Let go of it and of its folder."""
        # Their own destructors, in this thread, rather than the collector's at any time in any thread.
        self._manager.__exit__(None, None, None)
        self._context.__exit__(None, None, None)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _entry(self, block_hash: bytes) -> Any:
        try:
            return self._manager.block_tree_entries[self._pbk.BlockHash(block_hash)]
        except KeyError:
            return None

    def _note_checked(self, _data: object, block: Any, state: Any) -> None:
        """Called by the kernel within `submit`, in the same thread."""
        if state.validation_mode != self._pbk.ValidationMode.VALID:
            self._refused[bytes(block.block_hash)] = _log.take()
