"""Invalid settings stop only what uses them."""

from __future__ import annotations

import pytest

from annals.errors import SettingsError
from annals.settings import Settings, load_settings
from tests.conftest import Built, Run, WriteSettings

PATHS = sorted(
    name
    for name, field in Settings.model_fields.items()
    if "Path" in str(field.annotation) and name != "duckdb_spill_path"
)
FOREIGN = {"LOG_LEVEL": "http", "BATCH_SIZE": "auto", "HEALTH_PORT": "web"}


@pytest.mark.parametrize("command", ["usage daily", "sessions list", "status", "config show"])
def test_a_report_survives_settings_that_it_does_not_use(built: Built, command: str) -> None:
    """It prints the report and a warning for each wrong setting, and ends with 0."""
    done = built.read(*command.split(), "--json", **FOREIGN)
    assert done.code == 0, done.err
    assert done.data["schema_version"] == 1
    for name in FOREIGN:
        assert done.err.count(f"warning: {name}: ") == 1


def test_the_warning_names_file_and_line(in_process: Run, settings_text: WriteSettings) -> None:
    """A wrong line is named with its place; the value, which may be a secret, is not repeated."""
    settings_text("TIMEZONE=UTC\nLOG_LEVEL=hunter2\n")
    done = in_process("config", "show", "--origin")
    assert done.code == 0
    assert "warning: LOG_LEVEL (~/annals.env line 2): " in done.err
    assert "(invalid)" in done.out
    assert "hunter2" not in done.out + done.err


def test_a_report_stops_for_a_setting_that_it_uses(built: Built) -> None:
    """A time zone that does not exist is exit 3 for a report of days."""
    done = built.read("usage", "daily", TIMEZONE="Mars/Olympus")
    assert (done.code, "TIMEZONE" in done.err) == (3, True), done.err


def test_a_writing_command_stops_before_it_begins(
    in_process: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`sync once` ends with 3 for BATCH_SIZE=auto, and goes on with a HEALTH_PORT it never uses."""
    monkeypatch.setenv("HEALTH_PORT", "http")
    assert in_process("sync", "once").code == 0
    monkeypatch.setenv("BATCH_SIZE", "auto")
    done = in_process("sync", "once")
    assert (done.code, "BATCH_SIZE" in done.err) == (3, True)
    assert in_process("sync", "run").code == 3


def test_a_flag_that_is_wrong_is_never_let_pass(in_process: Run) -> None:
    """What the command line itself says is exit 3, used or not."""
    assert in_process("--set", "LOG_LEVEL=http", "config", "show").code == 3


def test_doctor_lists_what_is_invalid(in_process: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """It looks at everything all the same, and a wrong setting is a failed check."""
    monkeypatch.setenv("LOG_LEVEL", "http")
    done = in_process("doctor", "--json")
    assert done.code == 5
    found = [one for one in done.data["findings"] if one["check"] == "settings"]
    assert [(one["verdict"], "LOG_LEVEL" in one["says"]) for one in found] == [("fail", True)]


@pytest.mark.parametrize("name", PATHS)
def test_doctor_survives_a_wrong_path(
    name: str, in_process: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No path of a setting, a folder of an unknown user included, ends the list of findings."""
    monkeypatch.setenv(name.upper(), "~nobody-here/x")
    done = in_process("doctor", "--json")
    assert done.code == 5, done.err
    found = [one["says"] for one in done.data["findings"] if one["check"] == "settings"]
    assert [name.upper() in says for says in found] == [True]
    assert "defect" not in done.err


@pytest.mark.parametrize("name", ["timezone", "batch_size", "log_level", "s3_endpoint"])
def test_a_wrong_value_raises_where_it_is_used(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It never turns into the default in silence: not in a copy, not in another process."""
    monkeypatch.setenv(name.upper(), "no such thing")
    settings = load_settings(unused=Settings.model_fields)
    for one in (settings, settings.model_copy(update={"mongo_db": "x"})):
        assert list(one.invalid) == [name]
        with pytest.raises(SettingsError, match=name.upper()):
            getattr(one, name)
