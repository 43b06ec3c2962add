"""Everything that can go wrong, as one tree.

AnalyticsError
 ├── UsageError            2   the command line was used wrongly
 ├── SettingsError         3   a setting is missing, malformed or contradicts another
 ├── DependencyError       4   something this stage needs cannot be reached (Transient)
 ├── QualityError          5   the data broke a rule that was promised for it
 ├── PartialError          6   part of the work was done, the rest is named
 ├── LockedError           7   somebody else holds the lock, named (Transient)
 ├── ConflictError         8   another writer was first (Transient)
 ├── IntegrityError        9   stored data contradicts itself: stop, keep, say why (Terminal)
 │    ├── SourceGapError   9   a source no longer holds what the cursor asks for (Terminal)
 │    ├── LakeDamageError  9   a file of the lake is missing or damaged, named (Terminal)
 │    └── WarehouseDamageError 9  the warehouse file or a build is damaged (Terminal)
 ├── DiskFullError        10   no space left (Terminal until space is made)
 ├── TranscriptError       1   a transcript file or folder cannot be read
 │    └── TranscriptFolderError 3  CLAUDE_DIR names a folder that is not there
 ├── LocalBufferError      1   the SQLite buffer refused
 ├── LakeError             1   the Iceberg lake refused
 └── WarehouseError        1   DuckDB or dbt refused

The number is the exit code (docs/reference/exit-codes.md). ``Transient`` and ``Terminal`` decide
whether a retry makes sense; a class without either is not retried.
"""

from __future__ import annotations

from typing import Any, ClassVar

from annals.secrecy import hide


class Transient:
    """Mixin: the same call may succeed later; retry with back-off."""


class Terminal:
    """Mixin: the same call will fail again; a person has to act first."""


class AnalyticsError(Exception):
    """Root of the tree: what happened, to what, and what to do about it.

    ``hint`` is one sentence that tells the remedy. ``context`` holds the facts (path, offset, pid)
    as key-values, for logs and JSON envelopes; it never holds transcript text. All three are
    cleaned of secrets: a message often quotes what a library says.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str, **context: object) -> None:
        self.message = hide(message)
        self.hint = hide(hint)
        super().__init__(self.message)
        self.context = context

    def __reduce__(self) -> tuple[Any, ...]:
        """Return how to make this error again in another process."""
        return _again, (type(self), self.message, self.hint, self.context)

    def as_dict(self) -> dict[str, object]:
        """Return the JSON error envelope: ``error``, ``message``, ``hint``, ``context``."""
        return {
            "error": type(self).__name__,
            "message": self.message,
            "hint": self.hint,
            "context": {key: hide(str(value)) for key, value in self.context.items()},
        }


class UsageError(AnalyticsError):
    """The command line was used wrongly."""

    exit_code = 2


class SettingsError(AnalyticsError, Terminal):
    """A setting is missing, malformed or contradicts another."""

    exit_code = 3


class DependencyError(AnalyticsError, Transient):
    """Something this stage needs cannot be reached."""

    exit_code = 4


class QualityError(AnalyticsError):
    """The data broke a rule that was promised for it."""

    exit_code = 5


class PartialError(AnalyticsError):
    """Part of the work was done; the rest is named."""

    exit_code = 6


class LockedError(AnalyticsError, Transient):
    """Somebody else holds the lock; the message says who."""

    exit_code = 7


class ConflictError(AnalyticsError, Transient):
    """Another writer was first; compute again on what it wrote."""

    exit_code = 8


class IntegrityError(AnalyticsError, Terminal):
    """Stored data contradicts itself: stop, say why, keep the data."""

    exit_code = 9


class SourceGapError(IntegrityError):
    """A source no longer holds the records right after the cursor.

    ``context["pruned_through"]`` is the last sequence number that is gone.
    """


class DiskFullError(AnalyticsError, Terminal):
    """No space left on a device; everything committed before is kept."""

    exit_code = 10


class TranscriptError(AnalyticsError):
    """A transcript file or folder cannot be read."""


class TranscriptFolderError(TranscriptError):
    """CLAUDE_DIR names a folder that is not there."""

    exit_code = 3


class LocalBufferError(AnalyticsError):
    """The SQLite buffer refused."""


class LakeError(AnalyticsError):
    """The Iceberg lake refused."""


class LakeDamageError(IntegrityError, LakeError):
    """A file of the lake is missing or damaged.

    ``context["path"]`` is that file.
    """


class WarehouseError(AnalyticsError):
    """DuckDB or dbt refused."""


class WarehouseDamageError(IntegrityError, WarehouseError):
    """The warehouse file or a published build is damaged; both are made from the lake."""


def _again(
    kind: type[AnalyticsError], message: str, hint: str, context: dict[str, object]
) -> AnalyticsError:
    return kind(message, hint=hint, **context)
