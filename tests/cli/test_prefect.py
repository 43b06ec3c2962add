"""Stage commands on the record of a Prefect server, where there is none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Run, clean_environment

NOBODY = "http://127.0.0.1:1/api"


@pytest.mark.parametrize("command", ["pipeline", "extract", "load", "transform", "publish"])
def test_a_server_that_does_not_answer_is_told_at_once(in_process: Run, command: str) -> None:
    """With PREFECT_API_URL set nothing is done in silence without the server: exit code 4."""
    done = in_process("--set", f"PREFECT_API_URL={NOBODY}", command)
    assert done.code == 4
    assert f"the Prefect server at {NOBODY} does not answer" in done.err
    assert "hint: Start it with" in done.err


def test_what_is_no_address_is_a_setting_to_correct(in_process: Run) -> None:
    """A wrong PREFECT_API_URL is exit code 3, and named."""
    done = in_process("--set", "PREFECT_API_URL=127.0.0.1:4200", "load", "--prefect")
    assert done.code == 3
    assert "PREFECT_API_URL" in done.err
    assert "is not an address" in done.err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["deploy"], 4, "does not answer"),
        (["worker"], 4, "does not answer"),
        (["dance"], 2, "Name one of: deploy, worker"),
    ],
)
def test_deploying_and_working_say_what_is_missing(
    home: Path, arguments: list[str], code: int, words: str
) -> None:
    """Without a server neither starts; without a command the two are named."""
    done = subprocess.run(
        [sys.executable, "-m", "flows.prefect", *arguments],
        env=clean_environment(home, PREFECT_API_URL=NOBODY),
        cwd=home,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == code
    assert words in done.stderr
