"""pyiceberg's file access with a promise: what was closed survives a power failure."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pyiceberg.io import OutputStream
from pyiceberg.io.pyarrow import PyArrowFile, PyArrowFileIO


class DurableFileIO(PyArrowFileIO):
    """pyiceberg's file access, with every local file on stable storage when it is closed.

    A commit lets the buffer forget records. So what it refers to must survive a power failure.
    """

    def new_output(self, location: str) -> PyArrowFile:
        """Return a file to write; see the class."""
        file = super().new_output(location)
        scheme, _, path = self.parse_location(location, self.properties)
        return DurableFile(location, path, file._filesystem) if scheme == "file" else file  # noqa: SLF001


class DurableFile(PyArrowFile):
    """A local file that is synced, with the folders that are new, when it is closed."""

    def create(self, overwrite: bool = False) -> OutputStream:
        """Return the stream to write to; see the class."""
        path = Path(self._path)
        folders = {path.parent, *(above.parent for above in path.parents if not above.exists())}
        return SyncedStream(super().create(overwrite), (path, *folders))


class SyncedStream:
    """A stream that syncs paths after it was closed."""

    def __init__(self, stream: Any, paths: tuple[Path, ...]) -> None:
        self._stream = stream
        self._paths = paths

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the stream, then wait until file and folders are on stable storage."""
        if self._stream.closed:
            return
        self._stream.close()
        for path in self._paths:
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
