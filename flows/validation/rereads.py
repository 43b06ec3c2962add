"""What ``validate --deep`` finds wrong with a file is handed back: the file is read again."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from annals.errors import AnalyticsError
from annals.settings import Settings
from flows.validation.coverage import Coverage, File, Placed, compute_coverage

if TYPE_CHECKING:
    from sync_agent.reading.paths import Found

_REASON = "validate --deep"


@dataclass(slots=True)
class WrongFiles:
    """Files whose bytes are not where they should be, each with its faults."""

    faults: dict[bytes, list[str]] = field(default_factory=dict)

    def check(self, file: File, found: Found, ranges: list[Placed]) -> Coverage:
        """Lay the ranges over the file and remember it if it has faults.

        A file that cannot be opened gives nothing here: it is a place outside custody.
        """
        from sync_agent.reading.opening import open_transcript

        try:
            descriptor, _ = open_transcript(found)
        except OSError:
            return Coverage()
        try:
            part = compute_coverage(
                file, ranges, lambda length, offset: os.pread(descriptor, length, offset)
            )
        finally:
            os.close(descriptor)
        if part.faults:
            self.faults.setdefault(found.path, []).extend(part.faults)
        return part

    def hand_back(self, settings: Settings, *, limit: int) -> tuple[str, ...]:
        """Queue the files for a full re-read; return the faults, each with what happens next."""
        if not self.faults:
            return ()
        outcome = _queue(settings, map(os.fsdecode, self.faults))
        told = [
            f"{fault}; {outcome}, or run `annals repair {shlex.quote(_shown(path))}`"
            for path, faults in self.faults.items()
            for fault in faults
        ]
        return tuple(told[:limit])


def _queue(settings: Settings, names: Iterable[str]) -> str:
    from sync_agent.agent.requests import queue_rereads

    try:
        queue_rereads(settings, list(names), reason=_REASON)
    except AnalyticsError as error:
        return f"it could not be queued to be read again ({error.message})"
    return "it is queued to be read again by the next `annals pipeline`"


def _shown(path: bytes) -> str:
    return os.fsdecode(path).encode("utf-8", "backslashreplace").decode("utf-8")
