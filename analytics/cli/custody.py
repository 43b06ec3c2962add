"""The custody block: every byte on disk, and where it is now."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from analytics.cli.output import say
from analytics.cli.tables import count, make_printable, terminal_room

if TYPE_CHECKING:
    from sync_agent.reading.ledger import Custody

PLACES_SHOWN = 5
_LEAST_ROOM_FOR_MEANING = 76


def custody_members(custody: Custody) -> dict[str, Any]:
    """Return the custody as members of a JSON object."""
    from analytics.cli.output import as_members

    return dict(as_members(custody))


def show_custody(custody: Custody) -> None:
    """Print the custody block; its parts add up to the bytes on disk."""
    vanished = (
        f", {count(custody.files_vanished)} vanished at the source and kept here"
        f" ({count(custody.vanished_bytes)} bytes)"
    )
    lines = (
        ("entries", custody.entry_bytes, f"{count(custody.entries)} entries"),
        ("quarantined", custody.quarantined_bytes, f"{count(custody.quarantined)} ranges"),
        ("separators", custody.separator_bytes, "newlines, padding"),
        ("pending", custody.pending_bytes, "unfinished last lines, unread bytes"),
        ("on disk", custody.bytes_on_disk, "the sum" if custody.balanced else "NOT the sum"),
    )
    files = f"in custody: {count(custody.files)} files"
    say(files + (vanished if custody.files_vanished else ""))
    is_narrow = sys.stdout.isatty() and terminal_room() < _LEAST_ROOM_FOR_MEANING
    for name, number, meaning in lines:
        say(f"  {name:<12}{count(number):>16} bytes" + ("" if is_narrow else f"  {meaning}"))
    show_places(custody)


def show_vanished(custody: Custody) -> None:
    """Print the files that are gone from where they were read, and what is kept of them."""
    if custody.vanished:
        number, kept = count(custody.files_vanished), count(custody.vanished_bytes)
        names = ", ".join(map(make_printable, custody.vanished[:PLACES_SHOWN]))
        more = " ..." if len(custody.vanished) > PLACES_SHOWN else ""
        say(f"vanished    {number} files, {kept} bytes of them are kept: {names}{more}")


def show_places(custody: Custody) -> None:
    """Print what is outside custody, and what is in it and not a session."""
    if custody.outside:
        say(f"outside custody: {count(len(custody.outside))} places")
        for place in custody.outside[:PLACES_SHOWN]:
            say(f"  {make_printable(place.path)}: {make_printable(place.why)}")
        if len(custody.outside) > PLACES_SHOWN:
            say(f"  and {count(len(custody.outside) - PLACES_SHOWN)} more (--json lists them)")
    _show_names("foreign files, of other programs", custody.foreign)
    _show_names("left out by IGNORE_PATTERNS, like transcripts", custody.ignored)


def _show_names(what: str, found: tuple[str, ...]) -> None:
    if found:
        names = ", ".join(map(make_printable, found[:PLACES_SHOWN]))
        more = " ..." if len(found) > PLACES_SHOWN else ""
        say(f"{what}: {count(len(found))}: {names}{more}")
