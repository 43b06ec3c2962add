"""What the lake has of a transcript that is gone: found by the loaders, noted in the buffer."""

from __future__ import annotations

from typing import NamedTuple


class KeptFile(NamedTuple):
    """What the lake has of a file that is gone, in bytes; ``lost_bytes`` were never read."""

    file_path: str
    entries: int
    quarantined: int
    entry_bytes: int
    quarantined_bytes: int
    separator_bytes: int
    lost_bytes: int

    @property
    def kept_bytes(self) -> int:
        """The bytes that are kept."""
        return self.entry_bytes + self.quarantined_bytes + self.separator_bytes
