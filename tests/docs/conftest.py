"""What the tests of the papers share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import start


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a home in which the pipeline has run on the sample."""
    home = tmp_path_factory.mktemp("place")
    done = start("pipeline", home=home, cwd=home)
    assert done.code == 0, done.err
    return home
