"""Settings: where values come from, and what a wrong one is called."""

from __future__ import annotations

from pathlib import Path

import pytest

from annals.errors import SettingsError
from annals.settings import load_settings
from tests.conftest import WriteSettings


def test_defaults_lie_in_the_home(home: Path) -> None:
    """Without any setting, everything local lies below the home folder."""
    settings = load_settings()
    assert settings.claude_dir == home / ".claude" / "projects"
    assert settings.sqlite_path == home / ".claude-sync" / "buffer.db"
    assert settings.warehouse_file == home / ".annals" / "analytics.db"
    assert settings.lake_folder == home / ".annals" / "iceberg"
    assert settings.builds_folder == home / ".annals" / "published"


def test_flags_win_over_environment_over_file_over_default(
    monkeypatch: pytest.MonkeyPatch, settings_text: WriteSettings
) -> None:
    """Each source wins over the next one."""
    assert load_settings().builds_kept == 3
    settings_text("BUILDS_KEPT=4\n")
    assert load_settings().builds_kept == 4
    monkeypatch.setenv("BUILDS_KEPT", "5")
    assert load_settings().builds_kept == 5
    assert load_settings(builds_kept="6").builds_kept == 6


def test_an_empty_value_counts_as_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty variable leaves the default in force."""
    monkeypatch.setenv("BUILDS_KEPT", "")
    assert load_settings().builds_kept == 3


@pytest.mark.parametrize(
    ("name", "value"),
    [("timezone", "Mars/Olympus"), ("builds_kept", "1"), ("batch_size", "many")],
)
def test_a_wrong_value_is_named(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong value is a SettingsError that names the variable and says where to look."""
    monkeypatch.setenv(name.upper(), value)
    with pytest.raises(SettingsError, match=name.upper()) as raised:
        load_settings()
    assert ".env" in raised.value.hint


def test_a_settings_file_that_is_no_text_is_named(settings_text: WriteSettings) -> None:
    """A file that is not UTF-8 is a SettingsError, not a stack trace."""
    settings_text("").write_bytes(b"TIMEZONE=\xff\xfe")
    with pytest.raises(SettingsError, match=r"annals\.env line 1 is not UTF-8"):
        load_settings()


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("TIMEZONE=UTC\n\n# how many\nbatch_size=none\n", "BATCH_SIZE (~/annals.env line 4): "),
        ("BUILDS_KEPT=3\nBUILDS_KEPT=1\n", "BUILDS_KEPT (~/annals.env line 2): "),
        ("TIMEZONE=UTC\nBATCH SIZE 7\n", "~/annals.env line 2: 'BATCH' begins nothing"),
        ("'", "~/annals.env line 1: "),
        (
            "NOTIFY_WITH=slack\n",
            "NOTIFY_WITH (~/annals.env line 1): slack needs an address",
        ),
        (
            "NOTIFY_URL=hooks.example/hunter2\n",
            "NOTIFY_URL (~/annals.env line 1): is not an add",
        ),
        ("NOTIFY_WITH=slack\nNOTIFY_URL=http://[hunter2\n", "NOTIFY_URL (~/annals.env line 2): "),
        ("TIMEZONE=UTC\nDUCKDB_PATH\n", "~/annals.env line 2: 'DUCKDB_PATH' begins nothing"),
        ("export BUILDS_KEPT\n", "~/annals.env line 1: "),
    ],
)
def test_a_wrong_line_of_a_file_is_named(
    text: str, place: str, settings_text: WriteSettings
) -> None:
    """What is wrong in the file is named with its line, and no value is shown."""
    settings_text(text)
    with pytest.raises(SettingsError) as raised:
        load_settings()
    assert place in raised.value.message
    assert "hunter2" not in raised.value.message


def test_the_line_is_not_blamed_for_the_environment(
    monkeypatch: pytest.MonkeyPatch, settings_text: WriteSettings
) -> None:
    """A wrong variable is not said to stand in a file that has a right one."""
    settings_text("BATCH_SIZE=5\n")
    monkeypatch.setenv("BATCH_SIZE", "many")
    with pytest.raises(SettingsError, match="BATCH_SIZE: ") as raised:
        load_settings()
    assert "line 1" not in raised.value.message


@pytest.mark.parametrize(
    ("kind", "uri", "named"),
    [
        ("sql", "http://ada:open-sesame@catalog:8181", "set ICEBERG_CATALOG_TYPE=rest"),
        ("sql", "HTTPS://ada:open-sesame@catalog", "set ICEBERG_CATALOG_TYPE=rest"),
        ("rest", "sqlite:///open-sesame.db", "not an address of a server"),
        ("rest", None, "not set"),
    ],
)
def test_a_catalog_of_another_kind_is_named(kind: str, uri: str | None, named: str) -> None:
    """An address that does not suit the kind of catalog is refused, and not shown."""
    with pytest.raises(SettingsError, match="ICEBERG_CATALOG_URI") as raised:
        load_settings(iceberg_catalog_type=kind, iceberg_catalog_uri=uri)
    assert named in raised.value.message
    assert "open-sesame" not in str(raised.value.as_dict())


@pytest.mark.parametrize("uri", ["sqlite:////lake/catalog.db", "postgresql://catalog/annals"])
def test_a_catalog_in_a_database_is_accepted(uri: str) -> None:
    """The address of a database suits a catalog of the kind sql."""
    found = load_settings(iceberg_catalog_uri=uri).iceberg_catalog_uri
    assert found is not None
    assert found.get_secret_value() == uri
