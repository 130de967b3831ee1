"""What the process asks of the system so that its memory, and with it the node's key, does not leave it.

A crash must not write a core file, and no other process of the same user may read our memory or attach to us.
"""

from __future__ import annotations

import ctypes
import sys

_PR_SET_DUMPABLE = 4
"""linux/prctl.h"""


def keep_memory_private() -> None:
    """Forbid core dumps, and on Linux foreign eyes as well; for the start of the process, before there is any secret.

    Where the system has no such wish or refuses it, the process goes on: nothing of ours depends on it. Children get
    the limit on core files; being dumpable is reset by their exec.
    """
    if sys.platform == "win32":
        return
    import resource

    _soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    # The hard limit stays, so that a person can still ask for a core file from within a debugger.
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
    if sys.platform == "linux":
        # A core file that goes to a pipe (systemd-coredump, apport) ignores the limit; this it obeys.
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
