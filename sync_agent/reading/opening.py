"""Opens a transcript that was listed, and nothing else (docs/specs/reader.md, R-41)."""

from __future__ import annotations

import os

from annals.records.opening import SwappedError, open_regular
from sync_agent.reading.paths import Found

__all__ = ["SwappedError", "open_transcript"]


def open_transcript(found: Found) -> tuple[int, Found]:
    """Open a listed transcript; return the descriptor, and the file as it is now.

    No part of its real path is followed as a link. A file that was replaced by another regular
    file at the same place is opened. Raises SwappedError if a link took its place or that of a
    folder above it, FileNotFoundError if it is gone or not a regular file any more (a FIFO or
    device does not block), and OSError if it may not be read.
    """
    descriptor = open_regular(found.real or found.path)
    try:
        status = os.fstat(descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor, Found.of(found.path, status)._replace(real=found.real)
