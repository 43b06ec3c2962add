"""Folders below ANNALS_HOME that we make: a link in the place of one is refused by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from annals.errors import SettingsError
from annals.prefect_api import make_login
from annals.process.environments import work_folder
from annals.settings import Settings, load_settings
from operations.dbt_docs import build

MAKERS: dict[str, Callable[[Settings], object]] = {
    "work": lambda settings: work_folder(settings.annals_home),
    "prefect": make_login,
    "docs": build,
}


@pytest.mark.parametrize("name", list(MAKERS))
def test_a_link_in_its_place_is_refused(home: Path, name: str) -> None:
    """Nothing is written through it, and no process starts in the folder that it leads to."""
    settings = load_settings()
    victim = home / "victim"
    victim.mkdir()
    settings.annals_home.mkdir()
    (settings.annals_home / name).symlink_to(victim)
    with pytest.raises(SettingsError, match="is a symbolic link"):
        MAKERS[name](settings)
    assert list(victim.iterdir()) == []
