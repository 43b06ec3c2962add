"""Identity from content: the same bytes at the same place are the same entry for every reader.

No clock, no machine, no folder and no inode takes part (docs/specs/reader.md).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from hashlib import blake2b

from annals.errors import UsageError

_PLAIN = frozenset(range(0x20, 0x7F)) - {ord("\\")}
_CANDIDATES = 5
_ESCAPE = re.compile(r"\\x([0-9a-f]{2})")


def entry_id(key: bytes, byte_offset: int, raw: bytes | bytearray | memoryview) -> bytes:
    """Return the 16-byte id of the record ``raw`` at ``byte_offset`` of the file ``key``.

    ``key`` is ``os.fsencode`` of the file key. The printed form is ``.hex()``.
    """
    digest = blake2b(key + b"\0%d\0" % byte_offset, digest_size=16)
    digest.update(raw)
    return digest.digest()


def file_key(relative_path: str) -> str:
    """Return the path below the project folder, in POSIX form.

    ``relative_path`` is the path below the watched root; its first folder is the project folder.
    A file that lies in the root itself is its own key.
    """
    project, _, key = relative_path.replace(os.sep, "/").partition("/")
    return key or project


def owning_session(key: str) -> str:
    """Return the session that a record without ``sessionId`` belongs to.

    ``<session>.jsonl`` and ``<session>/subagents/agent-1.jsonl`` both name ``<session>``.
    """
    first, _, _ = key.partition("/")
    return first.removesuffix(".jsonl")


def id_with_prefix(prefix: str, ids: Iterable[str]) -> str | None:
    """Return the one of ``ids`` that is ``prefix`` or begins with it, None if there is none.

    Raises UsageError (exit 2) naming the candidates if several begin with it.
    """
    matches = sorted({one for one in ids if one.startswith(prefix)})
    if prefix in matches or not matches:
        return prefix if matches else None
    if len(matches) == 1:
        return matches[0]
    more = f" and {len(matches) - _CANDIDATES} more" if len(matches) > _CANDIDATES else ""
    raise UsageError(
        f"{prefix!r} is the beginning of {len(matches)} session ids",
        hint=f"Write more of one of them: {', '.join(matches[:_CANDIDATES])}{more}.",
    )


def readable(name: str) -> str:
    r"""Return ``name`` as text that every store can hold.

    A name that is valid UTF-8 stays as it is. Any other (surrogate-escaped by Python) gets ``\xNN``
    for each byte that is not plain ASCII, and for the backslash itself, so that
    :func:`original_name` can undo it.
    """
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return "".join(
            chr(byte) if byte in _PLAIN else f"\\x{byte:02x}" for byte in os.fsencode(name)
        )
    return name


def original_name(text: str) -> bytes:
    """Return the file-system bytes of a name that :func:`readable` escaped."""
    return _ESCAPE.sub(lambda found: chr(int(found[1], 16)), text).encode("latin-1")
