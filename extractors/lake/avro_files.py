"""Avro files of a lake, read up to a limit: a block says nothing about how far it expands.

The library expands each block at once. So the blocks are expanded here first, piece by piece and
without keeping anything, and a file that exceeds the limit is refused.
"""

from __future__ import annotations

import zlib
from io import BufferedReader
from typing import Any

import fastavro

from annals.limits import METADATA_BYTES, STEP_BYTES, TooLargeError

_MAGIC = b"Obj\x01"
_SYNC_BYTES = 16
_LONGEST_NUMBER = 10
_HEADER_BYTES = 16 * 1024 * 1024


def open_avro(file: BufferedReader) -> Any:
    """Return the library's reader of a file that can seek.

    Raises ValueError (TooLargeError) for a file that is, or expands to, more than METADATA_BYTES,
    and for one that is not an Avro file; the library raises anything else at damaged input.
    """
    start = file.tell()
    _require_bounded(file, METADATA_BYTES)
    file.seek(start)
    return fastavro.reader(file)


def _require_bounded(file: BufferedReader, limit: int) -> None:
    if file.read(len(_MAGIC)) != _MAGIC:
        raise ValueError("it is not an Avro file")
    codec = _header(file).get(b"avro.codec", b"null")
    file.read(_SYNC_BYTES)
    left = limit
    while file.peek(1):
        count = _number(file)
        if count < 0 or count > left:  # no record is shorter than a byte
            raise TooLargeError(limit)
        left -= _expanded(_bytes(file, left), codec, left)
        file.read(_SYNC_BYTES)


def _header(file: BufferedReader) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    left = _HEADER_BYTES
    while count := _number(file):
        if count < 0:
            _number(file)  # how many bytes these members have
        for _ in range(min(abs(count), left)):
            name, value = _bytes(file, left), _bytes(file, left)
            left -= len(name) + len(value) + 1
            found[name] = value
    return found


def _bytes(file: BufferedReader, limit: int) -> bytes:
    size = _number(file)
    if size < 0 or size > limit:
        raise TooLargeError(limit)
    content = file.read(size)
    if len(content) != size:
        raise ValueError("it is cut off")
    return content


def _number(file: BufferedReader) -> int:
    """Return a number as Avro writes it: seven bits a byte, the sign in the lowest bit."""
    number = 0
    for position in range(_LONGEST_NUMBER):
        piece = file.read(1)
        if not piece:
            raise ValueError("it is cut off")
        number |= (piece[0] & 0x7F) << (7 * position)
        if piece[0] < 0x80:  # noqa: PLR2004 -- the bit that says that more follow
            return (number >> 1) ^ -(number & 1)
    raise ValueError("a number in it is too long")


def _expanded(packed: bytes, codec: bytes, limit: int) -> int:
    if codec == b"deflate":
        return _inflated(packed, limit)
    if codec == b"null":
        return len(packed)
    raise ValueError(f"its codec {codec.decode('latin-1')!r} is not one that lakes use")


def _inflated(packed: bytes, limit: int) -> int:
    expander = zlib.decompressobj(-zlib.MAX_WBITS)
    size = 0
    while packed and not expander.eof:
        size += len(expander.decompress(packed, STEP_BYTES))
        packed = expander.unconsumed_tail
        if size > limit:
            raise TooLargeError(limit)
    return size
