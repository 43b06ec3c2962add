"""The archive as a file: a tar stream, compressed, encrypted where a passphrase is given."""

from __future__ import annotations

import contextlib
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import zstandard

from annals.errors import IntegrityError, UsageError
from operations.backup.manifest import damaged
from operations.backup.members import BoundedHeader
from operations.backup.sealing import is_sealed, open_unsealed, sealed

_LEVEL = 3
_STEP = 1024 * 1024


@contextlib.contextmanager
def writing(file: IO[bytes], passphrase: str | None) -> Iterator[tarfile.TarFile]:
    """Write an archive into ``file``; it is complete when the body has ended without an error."""
    with sealed(file, passphrase) if passphrase else contextlib.nullcontext(file) as sink:
        parameters = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True)
        with (
            parameters.stream_writer(sink, closefd=False) as compressed,
            tarfile.open(fileobj=compressed, mode="w|", format=tarfile.PAX_FORMAT) as tar,
        ):
            yield tar


@contextlib.contextmanager
def reading(path: Path, passphrase: str | None) -> Iterator[tarfile.TarFile]:
    """Read an archive from its beginning.

    Raises UsageError where there is none, where the passphrase is wrong or missing, IntegrityError
    where it is cut off or damaged.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError as error:
        raise UsageError(
            f"there is no archive at {path}", hint="Name a file that `annals backup` wrote."
        ) from error
    with file:
        try:
            with _compressed(file, path, passphrase) as source:
                expanded = zstandard.ZstdDecompressor().stream_reader(source, closefd=False)
                with tarfile.open(fileobj=expanded, mode="r|", tarinfo=BoundedHeader) as tar:
                    yield tar
                while rest := expanded.read(_STEP):  # to its end, where its checksum is
                    if rest.strip(b"\0"):
                        raise damaged("something follows its end")
        except (tarfile.TarError, zstandard.ZstdError, EOFError, ValueError) as error:
            raise _named(damaged(str(error)), path) from error
        except IntegrityError as error:
            raise _named(error, path) from error


def _named(error: IntegrityError, path: Path) -> IntegrityError:
    """Return the error with the archive's name in its message."""
    message = error.message.replace("the archive", f"the archive {path}", 1)
    return IntegrityError(message, hint=error.hint, **{**error.context, "path": path})


def is_archive(path: Path) -> bool:
    """Return whether a file begins as an archive does, encrypted or not."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        start = file.read(tarfile.BLOCKSIZE)
    return start.startswith(zstandard.FRAME_HEADER) or is_sealed(start)


@contextlib.contextmanager
def _compressed(file: IO[bytes], path: Path, passphrase: str | None) -> Iterator[IO[bytes]]:
    """Yield the compressed stream of an archive, decrypted where it is encrypted."""
    start = file.read(tarfile.BLOCKSIZE)
    file.seek(0)
    if start.startswith(zstandard.FRAME_HEADER):
        yield file
    elif not is_sealed(start):
        raise UsageError(
            f"{path.name} is not an archive of Annals",
            hint="Name a file that `annals backup` wrote.",
        )
    elif passphrase is None:
        raise UsageError(
            f"{path.name} is encrypted", hint="Name the file of its passphrase: --passphrase-file."
        )
    else:
        with open_unsealed(file, passphrase) as source:
            yield source
