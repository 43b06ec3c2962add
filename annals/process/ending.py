"""The request that a process ends, as a signal handler makes it."""

from __future__ import annotations

from contextlib import suppress
from queue import Empty, SimpleQueue


class EndRequest:
    """Whether the process was asked to end. A signal handler may call :meth:`ask`.

    ``threading.Event`` does not serve: its lock is not reentrant, so a handler that runs while the
    main thread begins to wait for the event blocks that thread. ``SimpleQueue.put`` is reentrant.
    """

    def __init__(self) -> None:
        self._is_asked = False
        self._wakes: SimpleQueue[None] = SimpleQueue()

    def ask(self) -> None:
        """Ask for the end."""
        self._is_asked = True
        self._wakes.put(None)

    def is_asked(self) -> bool:
        """Return whether the end was asked for."""
        return self._is_asked

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until the end is asked for, ``seconds`` at most; return whether it is."""
        if not self._is_asked:
            with suppress(Empty):
                self._wakes.get(timeout=seconds)
        return self._is_asked
