"""Errors of writing builds and dbt's own files, which libraries report as those of other files."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from annals.errors import DiskFullError, IntegrityError, WarehouseError
from annals.settings import Settings


@contextlib.contextmanager
def build_errors(settings: Settings) -> Iterator[None]:
    """Let an error at a file of the builds name the build, and not the lake."""
    try:
        yield
    except IntegrityError as error:
        path = Path(str(error.context.get("path", "")))
        if not path.is_relative_to(settings.builds_folder):
            raise
        raise WarehouseError(
            f"the build's file {path} cannot be written: {error.context.get('detail', '')}",
            hint="Check the disk of PUBLISH_PATH, then run `annals publish`; the build that is"
            " current is untouched.",
            path=path,
        ) from error


def full_disk(error: BaseException, place: Path) -> DiskFullError | None:
    """Return the error for a full disk that the system reported, None if it is another error.

    The file is the one that the system named, ``place`` if it named none.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT):
            file = cause.filename or place
            return DiskFullError(
                f"no space left while writing {file}",
                hint="Make room on that disk and run the command again; what was committed before"
                " is kept.",
                path=file,
            )
        cause = cause.__cause__ or cause.__context__
    return None
