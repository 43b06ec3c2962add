"""The system's time zone by its IANA name."""

from __future__ import annotations

import os
from pathlib import Path


def system_timezone() -> str:
    """Return the IANA name of the system's zone: ``TZ``, then ``/etc/localtime``, then UTC."""
    named = os.environ.get("TZ", "").removeprefix(":")
    if named and "/" in named and not named.startswith("/"):
        return named
    try:
        target = Path("/etc/localtime").resolve()
    except OSError:
        return "UTC"
    _, found, zone = str(target).partition("/zoneinfo/")
    return zone if found and zone != "Etc/UTC" else "UTC"
