"""Bytes from elsewhere, up to a limit: a size that others name is compared, never allocated."""

from __future__ import annotations

from typing import IO

STEP_BYTES = 1024 * 1024

SMALLEST_WINDOW_LIMIT = 8 * 1024 * 1024
"""A zstd decoder has to accept windows up to this (RFC 8878, section 3.1.1.1.2)."""


class TooLargeError(ValueError):
    """More bytes than the limit allows; nothing of that size was allocated."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"it has more than the {limit:,} bytes allowed")
        self.limit = limit


def bounded(data: bytes, *, limit: int) -> bytes:
    """Return ``data``; raise TooLargeError if it has more than ``limit`` bytes."""
    if len(data) > limit:
        raise TooLargeError(limit)
    return data


def read_bounded(stream: IO[bytes], *, limit: int) -> bytes:
    """Return all that is left in ``stream``; raise TooLargeError if it is more than ``limit``.

    At most STEP_BYTES beyond the limit are ever read, whatever the stream says about its length.
    """
    pieces: list[bytes] = []
    size = 0
    while piece := stream.read(STEP_BYTES):
        size += len(piece)
        if size > limit:
            raise TooLargeError(limit)
        pieces.append(piece)
    return b"".join(pieces)


def decompress(packed: bytes, *, limit: int) -> bytes:
    """Return the content of one zstd frame; raise ValueError if damaged or above ``limit`` bytes.

    The frame has to say how long its content is: at most that much is allocated, and a frame that
    is cut off is noticed.
    """
    import zstandard  # noqa: PLC0415 -- most records never need it

    try:
        header = zstandard.get_frame_parameters(packed)
        if header.content_size == zstandard.CONTENTSIZE_UNKNOWN:
            raise ValueError("its compressed bytes do not say how long they are")
        if max(header.content_size, header.window_size - SMALLEST_WINDOW_LIMIT) > limit:
            raise TooLargeError(limit)
        return zstandard.ZstdDecompressor().decompress(packed)
    except zstandard.ZstdError as error:
        raise ValueError("its compressed bytes are damaged") from error
