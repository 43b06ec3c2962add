"""Where each setting came from."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annals.settings import load_settings
from annals.settings.files import VARIABLE
from annals.settings.origin import origins
from tests.conftest import WriteSettings

SOURCES = st.sets(st.sampled_from(["flag", "environment", "file"]))


@given(sources=SOURCES)
def test_the_origin_is_the_source_whose_value_is_in_force(
    sources: set[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever sources name a setting, the origin names the one whose value counts."""
    values = {"flag": 11, "environment": 12, "file": 13, "default": 3}
    folder = tmp_path_factory.mktemp("origin")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        if "file" in sources:
            (folder / "annals.env").write_text("# first\n\nBUILDS_KEPT=13\n")
            patch.setenv(VARIABLE, str(folder / "annals.env"))
        if "environment" in sources:
            patch.setenv("BUILDS_KEPT", "12")
        flags = {"builds_kept": 11} if "flag" in sources else {}
        origin = origins(flags)["builds_kept"]
        assert load_settings(**flags).builds_kept == values[origin.kind]


def test_a_line_of_the_file_is_named(settings_text: WriteSettings) -> None:
    """The origin of a value in .env says which line it is, the last one where there are two."""
    settings_text("# a comment\nTIMEZONE=UTC\n\nbuilds_kept=4\nTIMEZONE=Asia/Tokyo\n")
    found = origins({})
    assert found["builds_kept"].where == "~/annals.env line 4"
    assert found["timezone"].where == "~/annals.env line 5"
    assert load_settings().timezone == "Asia/Tokyo"


def test_an_empty_value_is_no_origin(
    monkeypatch: pytest.MonkeyPatch, settings_text: WriteSettings
) -> None:
    """An empty variable or line counts as absent, as it does for the value."""
    settings_text("TIMEZONE=\n")
    monkeypatch.setenv("BUILDS_KEPT", "")
    found = origins({})
    assert found["timezone"].kind == "default"
    assert found["builds_kept"].kind == "default"
