"""What an archive says about itself: where its parts came from, and what each file must be."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from annals.errors import IntegrityError, UsageError
from operations.backup.members import MEMBERS_AT_MOST, MemberPath, member_path, require_apart

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
    size: int = Field(ge=0)
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
    members: tuple[Member, ...] = Field(max_length=MEMBERS_AT_MOST)

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
    try:
        require_apart([_known_path(member.path) for member in found.members])
    except ValueError as error:
        raise damaged(str(error)) from error
    return found


def lake_path(name: str) -> MemberPath:
    """Return where below the lake's folder a file of the lake belongs."""
    return MemberPath(member_path(name).parts[1:])


def _known_path(name: str) -> MemberPath:
    """Return the path of a file that an archive can have; raise ValueError for any other name."""
    try:
        path = member_path(name)
    except ValueError as error:
        raise ValueError(f"it names a file outside of itself or not plainly: {name!r}") from error
    is_lake = path.parts[0] == LAKE and len(path.parts) > 1
    if not is_lake and name not in (BUFFER, CATALOG, SETTINGS, PRICES):
        raise ValueError(f"it holds a file that no archive has: {name!r}")
    return path


def damaged(why: str) -> IntegrityError:
    """Return the error for an archive that is not what it was when it was verified."""
    return IntegrityError(
        f"the archive is damaged or cut off: {why}",
        hint="Copy it again from where it was made, or use an older archive; nothing was restored.",
    )
