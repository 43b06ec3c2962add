"""Time zones by their IANA names: a setting's, and the system's."""

from __future__ import annotations

import functools
import os
import re
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

_NO_ZONES = frozenset({"localtime", "posixrules", "Factory"})
_FIXED = re.compile(r"(?:[A-Za-z]{3,}|<[A-Za-z0-9+-]+>)([+-]?)(\d{1,2})(?::?00){0,2}")
_FARTHEST_WEST, _FARTHEST_EAST = 12, -14


def zone_name(text: str) -> str | None:
    """Return the IANA name of the zone that ``text`` names, in any case; None if there is none."""
    if _is_zone(text):
        return text
    return _lowered_names().get(text.lower())


@functools.cache
def _lowered_names() -> dict[str, str]:
    return {name.lower(): name for name in available_timezones() - _NO_ZONES}


def system_timezone() -> str:
    """Return the IANA name of the system's zone: ``TZ``, then ``/etc/localtime``, then UTC."""
    return _system_zone()[0]


def timezone_warning() -> str | None:
    """Return what is to be said of a ``TZ`` that names no IANA zone; None if all is well."""
    return _system_zone()[1]


def _system_zone() -> tuple[str, str | None]:
    given = os.environ.get("TZ", "").strip()
    if not given or given == ":":
        return _linked(Path("/etc/localtime")), None
    named = given.removeprefix(":")
    if named.startswith("/"):
        named = named.partition("/zoneinfo/")[2]
    for folder in ("posix/", "right/"):
        named = named.removeprefix(folder)
    if found := zone_name(named) or _fixed_zone(named):
        return found, None
    zone = _linked(Path("/etc/localtime"))
    return zone, (
        f"TZ={given} has no IANA name; days in reports are in {zone}."
        " Set TIMEZONE (example: Europe/Berlin) to choose another zone"
    )


def _is_zone(text: str) -> bool:
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return text not in _NO_ZONES


def _fixed_zone(rule: str) -> str | None:
    """Return the zone of a POSIX rule with whole hours and without summer time, such as JST-9.

    Both count hours west of Greenwich as positive, so the sign stays.
    """
    found = _FIXED.fullmatch(rule)
    if found is None:
        return None
    hours = int(found[2]) * (-1 if found[1] == "-" else 1)
    if not _FARTHEST_EAST <= hours <= _FARTHEST_WEST:
        return None
    return "Etc/UTC" if hours == 0 else f"Etc/GMT{hours:+d}"


def _linked(file: Path) -> str:
    """Return the zone whose file a link leads to; UTC where it leads elsewhere."""
    try:
        target = file.resolve()
    except (OSError, RuntimeError):
        return "UTC"
    _, found, zone = str(target).partition("/zoneinfo/")
    zone = zone.removeprefix("posix/")
    return zone if found and zone != "Etc/UTC" and _is_zone(zone) else "UTC"
