"""One Prefect server and one worker for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from examples.generator import write_sample
from tests.servers.prefects import Platform


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """Return a platform that is deployed to, with a worker and a sample to work on."""
    home = tmp_path_factory.mktemp("platform")
    write_sample(home / "transcripts")
    found = Platform(home)
    yield found
    found.close()
