"""Names in ``.env`` that look like a setting and are none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import Run, WriteSettings

MISSPELT = "# mine\nDUCKDB_PAHT=x.db\n"
SAYS = "warning: ~/annals.env line 2: there is no setting DUCKDB_PAHT; did you mean DUCKDB_PATH?\n"


def test_a_misspelt_name_is_told_once(annals: Run, settings_text: WriteSettings) -> None:
    """Standard error names line, name and what was meant; the output stays JSON, the code 0."""
    settings_text(MISSPELT)
    done = annals("config", "show", "--json")
    assert done.code == 0
    assert done.err.count(SAYS) == 1
    assert json.loads(done.out)["schema_version"] == 1
    assert "x.db" not in done.err


def test_doctor_shows_it_too(annals: Run, home: Path, settings_text: WriteSettings) -> None:
    """It is a doubtful finding with a remedy."""
    settings_text(MISSPELT)
    (home / ".claude" / "projects").mkdir(parents=True)
    done = annals("doctor", "--json")
    found = [one for one in done.data["findings"] if "DUCKDB_PAHT" in one["says"]]
    assert [(one["check"], one["verdict"]) for one in found] == [("settings", "warn")]
    assert found[0]["remedy"]


@pytest.mark.parametrize(
    "text",
    [
        "DATABASE_URL=postgres://x\nTZ=UTC\nPATH=/bin\nPREFECT_API_KEY=k\n",
        "METABASE_PORT=3005\nGRAFANA_PORT=3006\n",
        "DUCKDB_PAHT=x.db\nDUCKDB_PATH=y.db\n",
    ],
    ids=["of other programs", "of the stack", "beside the setting itself"],
)
def test_names_of_others_are_left_alone(
    annals: Run, text: str, settings_text: WriteSettings
) -> None:
    """The file is shared: what is nobody's slip of the finger is not spoken of."""
    settings_text(text)
    assert "there is no setting" not in annals("config", "show", "--json").err
