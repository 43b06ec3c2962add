"""The system's time zone: whatever form TZ has, reports follow it or say what they use."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from annals.settings.timezone import system_timezone, timezone_warning, zone_name
from tests.conftest import Run


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("UTC", "UTC"),
        ("GMT", "GMT"),
        ("Japan", "Japan"),
        ("Singapore", "Singapore"),
        ("CET", "CET"),
        ("EST5EDT", "EST5EDT"),
        ("japan", "Japan"),
        ("europe/berlin", "Europe/Berlin"),
        (":Europe/Berlin", "Europe/Berlin"),
        (":Japan", "Japan"),
        ("/usr/share/zoneinfo/Asia/Tokyo", "Asia/Tokyo"),
        ("posix/Asia/Tokyo", "Asia/Tokyo"),
        ("JST-9", "Etc/GMT-9"),
        ("EST5", "Etc/GMT+5"),
        ("<+03>-3", "Etc/GMT-3"),
        ("UTC0", "Etc/UTC"),
    ],
)
def test_a_zone_is_taken_as_other_programs_take_it(
    given: str, meant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names with and without a slash, in any case, with a colon or as a rule of whole hours."""
    monkeypatch.setenv("TZ", given)
    assert (system_timezone(), timezone_warning()) == (meant, None)


@pytest.mark.parametrize(
    "given",
    ["Mars/Phobos", "CET-1CEST,M3.5.0,M10.5.0/3", "IST-5:30", "../etc/passwd", "x y"],
)
def test_what_has_no_name_is_said_with_what_is_used(
    given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No zone is left out in silence: the warning has the value and the zone of the reports."""
    monkeypatch.setenv("TZ", given)
    zone = system_timezone()
    assert zone_name(zone) == zone
    assert f"TZ={given}" in (said := timezone_warning() or "")
    assert f"days in reports are in {zone}" in said


def test_every_zone_without_a_slash_is_known() -> None:
    """The data of this machine is asked, and not the form of the name."""
    names = {name for name in available_timezones() if "/" not in name} - {"Factory", "localtime"}
    assert len(names) > 10
    assert {zone_name(name.upper()) for name in names} <= names
    assert all(zone_name(name) == name for name in names)


@given(st.text(max_size=12))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_text_breaks_the_look_up(text: str) -> None:
    """Whatever TZ or TIMEZONE holds, the answer is a zone or none."""
    found = zone_name(text)
    assert found is None or datetime.now(UTC).astimezone(ZoneInfo(found))


def test_a_command_warns_of_a_zone_that_it_does_not_use(annals: Run, home: Path) -> None:
    """The warning is on standard error, and the zone that is used is shown."""
    done = annals("config", "show", CLAUDE_DIR=str(home), TIMEZONE="", TZ="Mars/Phobos")
    assert done.code == 0
    assert "TZ=Mars/Phobos has no IANA name" in done.err
    chosen = annals("config", "show", CLAUDE_DIR=str(home), TIMEZONE="japan", TZ="Mars/Phobos")
    assert "warning" not in chosen.err
    assert "Japan" in chosen.out
