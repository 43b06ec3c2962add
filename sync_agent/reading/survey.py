"""All roots at once: what lies below each folder of CLAUDE_DIR."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field

from annals.errors import TranscriptError
from annals.settings import Settings
from annals.watching.ignores import Ignores
from sync_agent.reading.paths import Listing, discover, shown

UNREADABLE = "Permission denied; give this user the right to read it (chmod u+r)"


@dataclass(frozen=True, slots=True)
class Place:
    """A place outside custody: its path as text, and why nothing in it is read."""

    path: str
    why: str


@dataclass(frozen=True, slots=True)
class Survey:
    """The listings of the roots that could be read; ``warnings`` name those that could not.

    ``missing`` are the roots that could not be read, as places.
    """

    listings: list[Listing] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    missing: list[Place] = field(default_factory=list)

    @property
    def files(self) -> int:
        """How many transcripts there are."""
        return sum(len(listing.files) for listing in self.listings)

    @property
    def places_unreadable(self) -> int:
        """How many roots and folders could not be looked into."""
        return len(self.warnings) + sum(len(listing.unlisted) for listing in self.listings)


def places_outside(surveyed: Survey) -> Iterator[Place]:
    """Yield every place that is outside custody: roots, folders, links, other kinds, files."""
    yield from surveyed.missing
    for listing in surveyed.listings:
        for one in listing.outside:
            if not one.is_double:
                yield Place(shown(one.path), one.why)
        for found in listing.files:
            if not os.access(found.real or found.path, os.R_OK):
                yield Place(shown(found.path), UNREADABLE)


def survey(settings: Settings) -> Survey:
    """Return what lies below every root.

    Raises TranscriptError where no root can be read; of several, one that cannot is a warning.
    """
    found = Survey()
    ignores = Ignores(settings.ignore_patterns)
    for root in settings.claude_dirs:
        try:
            found.listings.append(discover(root, ignores=ignores))
        except TranscriptError as error:
            if len(settings.claude_dirs) == 1:
                raise
            found.warnings.append(f"{error.message}; {error.hint}")
            found.missing.append(Place(str(root), f"{error.message}; {error.hint}"))
            refused = error
    if not found.listings:
        raise refused
    return found
