"""Encryption of an archive, in a form that the ``age`` program reads too.

A sealed archive is a tar of two age files: ``identity.age``, a fresh key under the passphrase, and
``archive.tar.zst.age`` under that key. So memory does not grow with the archive: the library
encrypts streams to a key only, and short texts to a passphrase.
"""

from __future__ import annotations

import contextlib
import os
import tarfile
import threading
from collections.abc import Callable, Iterator
from typing import IO, Any

import pyrage
import pyrage.passphrase

from annals.errors import UsageError
from annals.limits import STEP_BYTES, TooLargeError, read_bounded
from operations.backup.manifest import damaged
from operations.backup.members import BoundedHeader

_IDENTITY, _BODY = "identity.age", "archive.tar.zst.age"
_BLOCK = tarfile.BLOCKSIZE
_KEY_BYTES = 64 * 1024
"""A key under a passphrase has some 300 bytes."""


def is_sealed(start: bytes) -> bool:
    """Return whether a file that starts like this is an encrypted archive."""
    return start.startswith(_IDENTITY.encode())


@contextlib.contextmanager
def sealed(file: IO[bytes], passphrase: str) -> Iterator[IO[bytes]]:
    """Encrypt what is written to the yielded stream into ``file``, which can seek."""
    identity = pyrage.x25519.Identity.generate()
    key = pyrage.passphrase.encrypt(str(identity).encode(), passphrase)
    file.write(_header(_IDENTITY, len(key)) + key + _padding(len(key)))
    start = file.tell()
    file.write(bytes(_BLOCK))  # its header, when its length is known
    target = _Kept(file)
    ours, theirs = _pipe()

    def encrypt() -> None:
        pyrage.encrypt_io(ours, target, [identity.to_public()])

    worker = _Worker(encrypt, ours, lambda: target.error)
    try:
        yield theirs
    except BrokenPipeError:
        pass  # the worker knows why
    finally:
        worker.end(theirs)
    worker.raise_failure()
    size = file.tell() - start - _BLOCK
    file.write(_padding(size) + bytes(2 * _BLOCK))
    file.seek(start)
    file.write(_header(_BODY, size))


@contextlib.contextmanager
def open_unsealed(file: IO[bytes], passphrase: str) -> Iterator[IO[bytes]]:
    """Yield the stream that was sealed into ``file``.

    Raises UsageError for a wrong passphrase, IntegrityError where anything was changed or cut off.
    """
    with tarfile.open(fileobj=file, mode="r:", tarinfo=BoundedHeader) as outer:
        identity = _identity(_key_bytes(outer), passphrase)
        body = _member(outer, _BODY)
        ours, theirs = _pipe()

        def decrypt() -> None:
            pyrage.decrypt_io(body, theirs, [identity])

        worker = _Worker(decrypt, theirs, lambda: None)
        try:
            yield ours
            while ours.read(STEP_BYTES):  # to the end, which is authenticated too
                pass
        except Exception as error:
            worker.end(ours)
            if isinstance(worker.error, pyrage.DecryptError):
                raise damaged(str(worker.error)) from error
            raise
        finally:
            worker.end(ours)
        if worker.error is not None:
            raise damaged(str(worker.error)) from worker.error


class _Worker(threading.Thread):
    """Runs the library, which pulls; ``end`` is its end of the pipe."""

    def __init__(
        self, work: Callable[[], None], end: IO[bytes], cause: Callable[[], Exception | None]
    ) -> None:
        super().__init__(name="sealing", daemon=True)
        self.error: Exception | None = None
        self._work = work
        self._end = end
        self._cause = cause
        self.start()

    def run(self) -> None:
        """Work, and keep what it raises for the thread that waits."""
        try:
            self._work()
            self._end.flush()
        except Exception as error:  # noqa: BLE001 -- the edge of this thread: the other one raises it
            self.error = error
        finally:
            with contextlib.suppress(OSError):
                self._end.close()

    def end(self, other: IO[bytes]) -> None:
        """Close the other end of the pipe, and wait."""
        with contextlib.suppress(OSError):
            other.close()
        self.join()

    def raise_failure(self) -> None:
        """Raise what went wrong, the file system's own error where it was that."""
        if self.error is not None:
            raise self._cause() or self.error


class _Kept:
    """A file whose error is kept: the library reports it in words only."""

    def __init__(self, file: IO[bytes]) -> None:
        self.error: Exception | None = None
        self._file = file

    def write(self, data: bytes) -> int:
        """Write, and keep what it raises."""
        try:
            return self._file.write(data)
        except OSError as error:
            self.error = error
            raise

    def flush(self) -> None:
        """Flush the file."""
        self._file.flush()


def _pipe() -> tuple[IO[bytes], IO[bytes]]:
    reading, writing = os.pipe()
    return os.fdopen(reading, "rb"), os.fdopen(writing, "wb")


def _header(name: str, size: int) -> bytes:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o600
    return member.tobuf(tarfile.GNU_FORMAT)


def _padding(size: int) -> bytes:
    return bytes(-size % _BLOCK)


def _member(outer: tarfile.TarFile, name: str) -> IO[bytes]:
    found = next((member for member in outer if member.name == name), None)
    file = outer.extractfile(found) if found and found.isreg() else None
    if file is None:
        raise damaged(f"{name} is missing in it")
    return file


def _key_bytes(outer: tarfile.TarFile) -> bytes:
    try:
        return read_bounded(_member(outer, _IDENTITY), limit=_KEY_BYTES)
    except TooLargeError as error:
        raise damaged("its key is too large") from error


def _identity(key: bytes, passphrase: str) -> Any:
    try:
        return pyrage.x25519.Identity.from_str(pyrage.passphrase.decrypt(key, passphrase).decode())
    except pyrage.DecryptError as error:
        raise UsageError(
            f"the passphrase does not open the archive ({error})",
            hint="Name the file of the passphrase that it was made with; if that is the one, the"
            " archive is damaged.",
        ) from error
