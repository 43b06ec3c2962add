"""Bytes from elsewhere, up to a limit: a size that others name is compared, never allocated."""

from __future__ import annotations

from annals.limits import TooLargeError

SMALLEST_WINDOW_LIMIT = 8 * 1024 * 1024
"""A zstd decoder has to accept windows up to this (RFC 8878, section 3.1.1.1.2)."""


def bounded(data: bytes, *, limit: int) -> bytes:
    """Return ``data``; raise TooLargeError if it has more than ``limit`` bytes."""
    if len(data) > limit:
        raise TooLargeError(limit)
    return data


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
