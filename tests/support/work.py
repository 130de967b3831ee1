"""How much work something is, told so that other programs and the garbage of earlier tests do not count."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable


def least_cpu_s(work: Callable[[], object], tries: int = 3) -> float:
    """The least processor time of a few tries, seconds. For bounds an order of magnitude away, not for speed."""
    taken = []
    for _ in range(tries):
        gc.collect()
        gc.disable()
        try:
            began = time.process_time()
            work()
            taken.append(time.process_time() - began)
        finally:
            gc.enable()
    return min(taken)
