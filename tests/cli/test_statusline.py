"""``annals statusline``: one line from two small files, within 60 ms, whatever they hold."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT, Built, start

CPU_SECONDS = 0.06
_SESSION = {"model": {"display_name": "Opus"}, "cost": {"total_cost_usd": 1.237}}


def _line(home: Path, content: bytes, *words: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "analytics.cli", "statusline", *words],
        input=content,
        env={"HOME": str(home), "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **environment},
        cwd=home,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0
    assert done.stderr == b""
    line, newline, rest = done.stdout.decode("ascii").partition("\n")
    assert newline
    assert not rest
    return line


@pytest.fixture
def figures() -> dict[str, Any]:
    """Return the figures of a build, with usage today and an active block."""
    now = int(time.time())
    today = time.strftime("%Y-%m-%d", time.gmtime(now))
    return {
        "timezone": "UTC",
        "days": {today: 4_564_999_999, "2020-01-31": 9_000_000_000},
        "block": {"end": now + 7_805, "last": now - 60, "cost_nano_usd": 800_000_000},
    }


def _write(home: Path, figures: Any) -> None:
    folder = home / ".annals" / "published"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "statusline.json").write_text(json.dumps(figures))


def test_the_line_has_session_day_month_and_block(home: Path, figures: dict[str, Any]) -> None:
    """Costs are rounded to cents, and the block says how long it runs on."""
    _write(home, figures)
    assert _line(home, json.dumps(_SESSION).encode()) == (
        "Opus | $1.24 session | $4.56 today | $4.56 month | $0.80 block, 2h 10m left"
    )


@pytest.mark.parametrize(
    "content", [b"", b"not JSON", b"[" * 100_000, b'{"model": 3, "cost": []}', b"\xff\xfe", b"[1]"]
)
def test_bad_input_still_gives_a_line(home: Path, figures: dict[str, Any], content: bytes) -> None:
    """What Claude Code sends may be anything; the figures of the build are shown."""
    _write(home, figures)
    assert _line(home, content).startswith("$4.56 today | $4.56 month")


def test_without_figures_it_says_what_to_do(home: Path) -> None:
    """With a missing, broken or linked file the status bar still prints a line."""
    says = "annals: no figures yet, run annals pipeline"
    assert _line(home, b"{}") == says
    _write(home, ["no", "object"])
    assert _line(home, b"{}") == says
    path = home / ".annals" / "published" / "statusline.json"
    path.unlink()
    path.symlink_to("/dev/zero")
    assert _line(home, b"{}") == says


def test_control_codes_do_not_reach_the_terminal(home: Path, figures: dict[str, Any]) -> None:
    """A model's name is text of another program, and becomes one printable line."""
    _write(home, figures)
    session = {"model": {"display_name": "Op\x1b[31mus\nx"}}
    assert _line(home, json.dumps(session).encode()).startswith("Op?[31mus x | ")


@pytest.mark.parametrize(
    "change",
    [
        {"block": {"end": 10**400, "last": 10**400, "cost_nano_usd": 10**400}},
        {"days": {"2020-01-31": 10**400}},
        {"timezone": "\ud800"},
        {"timezone": "/dev/fd/0"},
    ],
)
def test_no_figure_of_the_file_ends_it(
    home: Path, figures: dict[str, Any], change: dict[str, Any]
) -> None:
    """Numbers without end and zones that are not names are left out."""
    _write(home, figures | change)
    assert " month" in _line(home, b"{}")


@pytest.mark.parametrize(
    ("output", "code"),
    [("> /dev/full", 10), (">&-", 0), ("| exec true", 0), ("| cat", 0)],
)
def test_no_output_ends_it_as_a_defect(home: Path, output: str, code: int) -> None:
    """An output may be full, closed, left or unable to show a name; no traceback is printed."""
    command = f"{sys.executable} -m analytics.cli statusline"
    session = home / "session.json"
    session.write_text('{"model": {"display_name": "caf\\u00e9"}}' + " " * 900_000)
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"{command} < {session} {output}"],
        env={"HOME": str(home), "PATH": os.environ["PATH"], "PYTHONIOENCODING": "ascii"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    if output == "| cat":
        assert done.stdout.startswith("caf\\xe9 | ")


def test_the_file_is_where_the_settings_say(
    home: Path, tmp_path: Path, figures: dict[str, Any]
) -> None:
    """PUBLISH_PATH and ANNALS_HOME count, as variables and in the settings file."""
    _write(tmp_path, figures)
    state = str(tmp_path / ".annals")
    assert "$4.56 today" in _line(home, b"{}", ANNALS_HOME=state)
    assert "$4.56 today" in _line(home, b"{}", PUBLISH_PATH=f"{state}/published")
    settings = home / "annals.env"
    settings.write_text(f"# a comment\nANNALS_HOME={state}\n")
    assert "$4.56 today" in _line(home, b"{}", ANNALS_ENV_FILE=str(settings))
    settings.write_text(f"ANNALS_HOME={os.path.relpath(state, home)}\n")
    assert "$4.56 today" in _line(home, b"{}", ANNALS_ENV_FILE=str(settings))
    assert "$4.56 today" in _line(home, b"{}", "--file", f"{state}/published/statusline.json")


def test_every_publish_writes_the_figures(built: Built) -> None:
    """The days have the costs of the report by day, to the nano-dollar."""
    (path,) = (built.home / ".annals").rglob("statusline.json")
    written = json.loads(path.read_text())
    days = built.read("usage", "daily", "--json").data["daily"]
    costs = {row["date"]: round(row["totalCost"] * 1e9) for row in days}
    assert written["days"]
    assert written["days"].items() <= costs.items()
    blocks = built.read("usage", "blocks", "--json").data["blocks"]
    assert written["block"]["tokens"] == blocks[-1]["totalTokens"]


def test_a_file_that_cannot_be_written_fails_no_publish(home: Path) -> None:
    """The build is published all the same, and a warning names the file."""
    published = home / ".annals" / "sample" / "published"
    (published / "statusline.json").mkdir(parents=True)
    done = start("pipeline", "--json", home=home, cwd=home)
    assert done.code == 0, done.err
    assert "statusline.json was not written" in done.err
    assert start("usage", "daily", "--json", home=home, cwd=home).data["daily"]


def test_it_takes_at_most_60_ms(home: Path, figures: dict[str, Any]) -> None:
    """The processor time of the whole process, the least of some runs, is within the limit."""
    _write(home, figures)
    taken = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        _line(home, b"{}")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        taken.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(taken) <= CPU_SECONDS
