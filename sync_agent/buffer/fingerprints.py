"""Short hashes that tell whether a file still is what was read of it (docs/specs/reader.md)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from hashlib import blake2b

FINGERPRINT_BYTES = 4096
"""So much of the head and of the end of what was read is compared before reading goes on."""

EMPTY_SUM = bytes(16)
_MODULUS = 1 << 128


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What was read of a file: hash of its first ``head_length`` bytes, and of its last ones."""

    head_hash: bytes
    head_length: int
    tail_hash: bytes


def digest(data: bytes | memoryview) -> bytes:
    """Return the 16-byte hash of a head or tail."""
    return blake2b(data, digest_size=16).digest()


def fingerprint(head: bytes, tail: bytes) -> Fingerprint:
    """Return the fingerprint of a file that was read up to some offset.

    ``head`` is its first and ``tail`` its last 4 KiB before that offset (or all there is).
    """
    head = head[:FINGERPRINT_BYTES]
    return Fingerprint(digest(head), len(head), digest(tail[-FINGERPRINT_BYTES:]))


@dataclass(frozen=True, slots=True)
class Edges:
    """The first and the last bytes of the part of a file that was read before."""

    head: bytes
    tail: bytes

    def match(self, known: Fingerprint) -> bool:
        """Return whether these are the bytes that ``known`` was made of."""
        return (
            len(self.head) >= known.head_length
            and digest(self.head[: known.head_length]) == known.head_hash
            and digest(self.tail) == known.tail_hash
        )

    @property
    def bytes_read(self) -> int:
        """How many bytes were read for the comparison."""
        return len(self.head) if self.tail is self.head else len(self.head) + len(self.tail)


def read_edges(descriptor: int, offset: int) -> Edges:
    """Read the first and the last 4 KiB before ``offset``, once where they are the same."""
    head = os.pread(descriptor, min(FINGERPRINT_BYTES, offset), 0)
    if offset <= FINGERPRINT_BYTES:
        return Edges(head, head)
    return Edges(head, os.pread(descriptor, FINGERPRINT_BYTES, offset - FINGERPRINT_BYTES))


def add_ids(content_sum: bytes, ids: int) -> bytes:
    """Return ``content_sum`` with the ids of further ranges added, modulo 2**128.

    Each id covers a range's offset and bytes, so equal sums mean equal content; and a sum, unlike
    a running hash, needs no order and can be carried on after a restart.
    """
    total = (int.from_bytes(content_sum, "big") + ids) % _MODULUS
    return total.to_bytes(16, "big")
