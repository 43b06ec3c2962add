"""All roots at once: what lies below each folder of CLAUDE_DIR."""

from __future__ import annotations

from dataclasses import dataclass, field

from analytics.errors import TranscriptError
from analytics.settings import Settings
from sync_agent.ignores import Ignores
from sync_agent.paths import Listing, discover


@dataclass(frozen=True, slots=True)
class Survey:
    """The listings of the roots that could be read; ``warnings`` name those that could not."""

    listings: list[Listing] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def files(self) -> int:
        """How many transcripts there are."""
        return sum(len(listing.files) for listing in self.listings)

    @property
    def places_unreadable(self) -> int:
        """How many roots and folders could not be looked into."""
        return len(self.warnings) + sum(len(listing.unlisted) for listing in self.listings)


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
            refused = error
    if not found.listings:
        raise refused
    return found
