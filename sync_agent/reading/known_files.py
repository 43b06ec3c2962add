"""What the agent knows of the files below one root, in a few bytes for each.

An agent that watches hundreds of thousands of files keeps all of them in memory. A row as Python
objects takes 600 bytes; packed into one, with the path as the key, it takes 100.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, KeysView

from sync_agent.buffer.rows import Known
from sync_agent.reading.file_changes import is_unchanged
from sync_agent.reading.paths import Found

_PACKED = struct.Struct("<qqqqqqqHHH")
_NONE = -(1 << 63)
_SHORT = 1 << 16


class KnownFiles:
    """The known files by path. Values are equal to those that were put in, not the same objects."""

    def __init__(self) -> None:
        self._rows: dict[bytes, bytes] = {}
        self._words: list[str] = []

    def __contains__(self, path: bytes) -> bool:
        return path in self._rows

    def __getitem__(self, path: bytes) -> Known:
        return self._unpacked(path, self._rows[path])

    def __setitem__(self, path: bytes, known: Known) -> None:
        self._rows[path] = self._packed(known)

    def __delitem__(self, path: bytes) -> None:
        del self._rows[path]

    def get(self, path: bytes) -> Known | None:
        """Return what is known of the file at ``path``, None where nothing is."""
        row = self._rows.get(path)
        return None if row is None else self._unpacked(path, row)

    def keys(self) -> KeysView[bytes]:
        """Return the paths."""
        return self._rows.keys()

    def values(self) -> Iterator[Known]:
        """Yield what is known of each file."""
        for path, row in self._rows.items():
            yield self._unpacked(path, row)

    def _packed(self, known: Known) -> bytes:
        is_end = known.path.endswith(known.key) and len(known.key) < _SHORT
        numbers = _PACKED.pack(
            _NONE if known.size is None else known.size,
            _NONE if known.mtime_ns is None else known.mtime_ns,
            known.inode,
            known.device,
            known.file_id,
            known.location_id,
            known.offset,
            len(known.key) if is_end else 0,
            self._number(known.state),
            self._number(known.host),
        )
        return numbers if is_end else numbers + known.key

    def _unpacked(self, path: bytes, row: bytes) -> Known:
        size, mtime_ns, inode, device, file_id, location_id, offset, length, state, host = (
            _PACKED.unpack_from(row)
        )
        return Known(
            path,
            None if size == _NONE else size,
            None if mtime_ns == _NONE else mtime_ns,
            inode,
            device,
            self._words[state],
            file_id,
            location_id,
            self._words[host],
            path[-length:] if length else row[_PACKED.size :],
            offset,
        )

    def _number(self, word: str) -> int:
        """Return the number of a word that many rows share: a state, a host."""
        if word not in self._words:
            self._words.append(word)
        return self._words.index(word)


class Seen:
    """Which known files a look at the whole root found unchanged.

    ``files`` counts them; ``devices_of_links`` are where files lie that links lead to.
    """

    def __init__(self, known: KnownFiles) -> None:
        self.files = 0
        self.devices_of_links: set[int] = set()
        self._known = known
        self._marks = bytearray()

    def is_unchanged(self, found: Found) -> bool:
        """Return whether the file is as it is known, and remember that it is there."""
        if found.real:
            self.devices_of_links.add(found.device)
        known = self._known.get(found.path)
        if known is None or not is_unchanged(known, found):
            return False
        if known.file_id >= len(self._marks):
            self._marks.extend(bytes(known.file_id + 1 - len(self._marks)))
        self._marks[known.file_id] = 1
        self.files += 1
        return True

    def others(self) -> Iterator[Known]:
        """Yield what is known of the other files."""
        for known in self._known.values():
            if known.file_id >= len(self._marks) or not self._marks[known.file_id]:
                yield known
