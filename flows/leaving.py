"""Where data of this machine goes, for ``status`` and ``doctor``."""

from __future__ import annotations

from dataclasses import dataclass

from annals.errors import SettingsError
from annals.settings import Settings
from annals.settings.destinations import KINDS, judge


@dataclass(frozen=True, slots=True)
class Leaving:
    """A place that a setting names.

    ``allowed_by`` is ``loopback``, ``flag``, ``settings file``, ``ALLOW_DESTINATIONS`` or
    ``allowed.json``; None where nothing allows it, so that nothing is sent there. ``fault`` says
    why the place of a setting cannot be told.
    """

    setting: str
    kind: str
    destination: str
    allowed_by: str | None
    fault: str | None = None

    def __str__(self) -> str:
        """Return the place as text for people."""
        if self.fault:
            return f"{self.kind}: {self.fault}"
        how = f"allowed by {self.allowed_by}" if self.allowed_by else "not allowed, nothing is sent"
        return f"{self.kind} {self.destination} ({'this machine' if self.is_here else how})"

    @property
    def is_here(self) -> bool:
        """Whether the place is on this machine."""
        return self.allowed_by == "loopback"


def destinations(settings: Settings) -> tuple[Leaving, ...]:
    """Return every place that settings name; none where all data stays in files."""
    return tuple(found for name in KINDS for found in _of(settings, name))


def _of(settings: Settings, name: str) -> tuple[Leaving, ...]:
    try:
        return tuple(
            Leaving(one.setting, one.kind, str(one.destination), one.allowed_by)
            for one in judge(settings, name)
        )
    except SettingsError as error:
        return (Leaving(name.upper(), KINDS[name], "", None, error.message),)
