"""A first start with a key file, killed with SIGKILL before its nth operation on the profile's folder.

`python -m tests.unit.wallet.dying_start FOLDER N`
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

from core.wallet.file import FileKeyStore
from core.wallet.node_key import open_node_key
from core.wallet.passphrase import Passphrase
from tests.unit.wallet.parts import REGTEST, TEST_SCRYPT_N, FileMarker


def die_before_operation(number: int, folder: str) -> None:
    """Count opens, renames and removals in the folder (audit events) and every fsync."""
    count = 0

    def operation() -> None:
        nonlocal count
        count += 1
        if count == number:
            os.kill(os.getpid(), signal.SIGKILL)

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        if event in ("open", "os.rename", "os.remove") and str(arguments[0]).startswith(folder):
            operation()

    fsync = os.fsync

    def counted_fsync(handle: int) -> None:
        operation()
        fsync(handle)

    os.fsync = counted_fsync
    sys.addaudithook(audit)


async def main(folder: Path) -> None:
    store = FileKeyStore(folder / "key", REGTEST, Passphrase("words"), scrypt_n=TEST_SCRYPT_N)
    await open_node_key(store, FileMarker(folder / "marker"), REGTEST)
    await store.aclose()


if __name__ == "__main__":
    die_before_operation(int(sys.argv[2]), sys.argv[1])
    asyncio.run(main(Path(sys.argv[1])))
