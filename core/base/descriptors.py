"""How many files and sockets the process may hold; each peer and each RPC client is one."""

from __future__ import annotations

import sys

WANTED = 65_536
"""What CLN asks for as well; many systems begin a process with 1,024 or even 256, but allow more on request."""
_WHERE_NOTHING_IS_KNOWN = 512


def raise_file_limit() -> int:
    """Ask for as many as the system lets us have; the number that holds from now on. For the start of the process.

    Where the system refuses, the process goes on with what it has.
    """
    if sys.platform == "win32":
        return _WHERE_NOTHING_IS_KNOWN
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED if hard == resource.RLIM_INFINITY else min(WANTED, hard)
    # macOS takes no more than 10,240 whatever it calls the hard limit.
    for limit in (wanted, 10_240):
        if soft == resource.RLIM_INFINITY or soft >= limit:
            break
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
        except (OSError, ValueError):
            continue
        break
    return file_limit()


def file_limit() -> int:
    """How many there may be now."""
    if sys.platform == "win32":
        return _WHERE_NOTHING_IS_KNOWN
    import resource

    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return WANTED if soft == resource.RLIM_INFINITY else soft
