"""Waiting for several descriptors at once, and for how long the machine itself was away."""

from __future__ import annotations

import select
import time
from collections.abc import Iterable


def is_readable(numbers: Iterable[int], seconds: float) -> bool:
    """Return whether one of the descriptors can be read within so many seconds."""
    poll = select.poll()
    for number in numbers:
        poll.register(number, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def asleep_seconds() -> float:
    """Return how long the machine was suspended since it started, where the system tells."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.clock_gettime(clock) - time.monotonic() if clock is not None else 0.0
