"""Content hashes of the lake's files: a data file carries its own hash in its name.

The hash is computed from the encoded bytes before they reach a disk. So one pass over a file shows
a flipped bit, a cut, a zeroed block and a file that was swapped with another.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path

_NAMED = re.compile(r"-(?P<hash>[0-9a-f]{32})\.parquet$")
_SCHEME = re.compile(r"^file:(?://)?(?=/)")
STEP_BYTES = 1024 * 1024


def content_hash(blocks: Iterable[bytes | memoryview]) -> str:
    """Return the hash of the bytes in ``blocks``."""
    digest = blake2b(digest_size=16)
    for block in blocks:
        digest.update(block)
    return digest.hexdigest()


def hash_file(path: Path) -> str:
    """Return the hash of a local file's bytes; raises OSError."""
    with path.open("rb", buffering=0) as file:
        return content_hash(iter(lambda: file.read(STEP_BYTES), b""))


def named_hash(location: str) -> str | None:
    """Return the hash that a data file's name carries, or None for files of other programs."""
    found = _NAMED.search(location)
    return found["hash"] if found else None


def local_path(location: str) -> Path | None:
    """Return the path of a location on this machine, or None if it is in an object store."""
    text = _SCHEME.sub("", location)
    return None if "://" in text else Path(text)
