"""What ``up`` refuses before it starts anything: settings that no service could begin with."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import start
from tests.sync_agent.running_agents import free_port


@pytest.mark.parametrize("how", [("up",), ("up", "--detach")])
@pytest.mark.parametrize(
    ("line", "words"),
    [
        (
            "MONGO_URI=http://me:hunter2@somewhere",
            "~/annals.env line 2: MONGO_URI (http://***@somewhere)",
        ),
        (
            "MONGO_URI=mongodb://me:hunter2@a/?conecttimeout=1",
            "~/annals.env line 2: MONGO_URI (mongodb:",
        ),
        ("NOTIFY_WITH=slack", "NOTIFY_WITH (~/annals.env line 2): "),
    ],
)
def test_a_line_that_no_service_could_begin_with_is_named(
    tmp_path: Path, how: tuple[str, ...], line: str, words: str
) -> None:
    """It is exit 3 with file, line and setting; nothing is started, and no password is shown."""
    file = tmp_path / "annals.env"
    file.write_text(f"HEALTH_PORT={free_port()}\n{line}\n")
    done = start("--env-file", str(file), *how, home=tmp_path, cwd=tmp_path)
    assert done.code == 3, done.err
    assert words in done.err
    assert "hunter2" not in done.err
    assert not (tmp_path / ".annals").exists()


def test_a_server_that_is_away_is_no_fault_of_the_settings(tmp_path: Path) -> None:
    """A MongoDB that does not answer keeps nothing from starting: the buffer keeps what comes."""
    port = free_port()
    settings = {"HEALTH_PORT": str(port), "DBT_DOCS_URL": f"http://127.0.0.1:{port}"}
    settings["MONGO_URI"] = "mongodb://127.0.0.1:1/"
    done = start("up", home=tmp_path, cwd=tmp_path, **settings)
    assert done.code == 7, done.err
    assert f"to use port {port}" in done.err
