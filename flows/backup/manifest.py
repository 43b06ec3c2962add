"""What an archive says about itself: where its parts came from, and what each file must be."""

from __future__ import annotations

from datetime import datetime
from pathlib import PurePosixPath

from pydantic import BaseModel, ConfigDict, ValidationError

from analytics.errors import IntegrityError, UsageError

VERSION = 1
NAME = "manifest.json"
BUFFER = "buffer.db"
CATALOG = "catalog.db"
SETTINGS = "settings.env"
PRICES = "prices.csv"
LAKE = "lake"
_MODEL = ConfigDict(frozen=True, extra="ignore")


class Member(BaseModel):
    """One file of an archive; ``size`` is in bytes, ``sha256`` in hexadecimal."""

    model_config = _MODEL

    path: str
    size: int
    sha256: str


class LakeNames(BaseModel):
    """Under which names the lake's catalog knows the table, and in which folder its files were."""

    model_config = _MODEL

    folder: str
    catalog: str
    namespace: str
    table: str


class Manifest(BaseModel):
    """The last file of an archive. ``snapshot_id`` and ``agent_id`` say what lake and buffer are.

    ``timezone`` is that of the days in reports: gold depends on it.
    """

    model_config = _MODEL

    version: int
    created_at: datetime
    annals_version: str
    timezone: str
    lake: LakeNames | None
    snapshot_id: int | None
    agent_id: str | None
    members: tuple[Member, ...]

    @property
    def bytes(self) -> int:
        """The bytes of all files together, unpacked."""
        return sum(member.size for member in self.members)

    def has(self, path: str) -> bool:
        """Return whether the archive holds a file of that name."""
        return any(member.path == path for member in self.members)


def read_manifest(text: bytes) -> Manifest:
    """Return the manifest; raise IntegrityError for what is none, UsageError for a newer one."""
    try:
        found = Manifest.model_validate_json(text)
    except ValidationError as error:
        raise damaged(f"its manifest is not valid: {error.error_count()} faults") from error
    if found.version > VERSION:
        raise UsageError(
            f"the archive has version {found.version}; this program knows {VERSION}",
            hint=f"Use Annals {found.annals_version} or newer to restore it.",
        )
    for member in found.members:
        path = PurePosixPath(member.path)
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise damaged(f"it names a file outside of itself: {member.path}")
    return found


def damaged(why: str) -> IntegrityError:
    """Return the error for an archive that is not what it was when it was verified."""
    return IntegrityError(
        f"the archive is damaged or cut off: {why}",
        hint="Copy it again from where it was made, or use an older archive; nothing was restored.",
    )
