"""``annals pipeline``: what it answers, what it leaves to do, and how it refuses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from annals.locks import exclusive
from examples.generator import write_sample
from tests.conftest import Built, Run, clean_environment


def test_the_answer_adds_up(built: Built) -> None:
    """The JSON says that it is the sample, what each stage did, and where every byte is."""
    answer = built.pipeline.data
    assert answer["schema_version"] == 1
    assert answer["sample"] is True
    assert answer["nothing_new"] is False
    assert set(answer["stages"]) == {"sync", "extract", "load", "transform", "publish"}
    counters, kept = answer["counters"], answer["custody"]
    assert counters["bytes_read"] >= kept["bytes_on_disk"] > 0
    assert counters["entries_new"] == kept["entries"]
    assert counters["snapshots_committed"] == 1
    assert counters["models_built"] > 0
    parts = ("entry_bytes", "quarantined_bytes", "separator_bytes", "pending_bytes")
    assert sum(kept[name] for name in parts) == kept["bytes_on_disk"]
    assert kept["balanced"] is True
    assert "bundled sample" in built.pipeline.err


def test_for_people_it_ends_with_a_table_custody_and_three_commands_that_work(
    annals: Run, home: Path, tmp_path: Path
) -> None:
    """Usage, custody and next commands are shown; each of these finds the state it is about."""
    write_sample(home / "transcripts")
    state = tmp_path / "my state"
    first = annals(
        *("--set", "TIMEZONE=Asia/Tokyo", "pipeline"),
        ANNALS_HOME=str(state),
        CLAUDE_DIR="transcripts",
    )
    assert first.code == 0, first.err
    lines = first.out.splitlines()
    head = "Day Model Input Output Cache write Cache read Cost"
    assert " ".join(lines[0].split()) == head
    assert any(line.startswith("in custody: 15 files") for line in lines)
    commands = [line.split("  # ")[0].strip() for line in lines[lines.index(_next(lines)) + 1 :]]
    assert len(commands) == 3
    assert commands[2].endswith("validate --deep"), "run by the test of the README"
    place = f"CLAUDE_DIR={home}/transcripts ANNALS_HOME='{state}' TIMEZONE=Asia/Tokyo "
    assert all(command.startswith(place) for command in commands)
    for command in commands[:2]:
        done = subprocess.run(
            ["bash", "-c", command],
            env=clean_environment(home),
            cwd=home,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, (command, done.stderr)


def _next(lines: list[str]) -> str:
    return next(line for line in lines if line.endswith("next:"))


def test_with_nothing_new_nothing_is_done(built: Built) -> None:
    """A second run reads no content, commits no snapshot, builds no model, and says so."""
    answer = built.read("pipeline", "--json").data
    assert answer["nothing_new"] is True
    assert set(answer["counters"].values()) == {0}
    assert answer["stages"]["publish"]["published"] is False
    shown = built.read("pipeline").out
    assert shown.startswith("nothing new")
    assert "in custody: 15 files" in shown


def test_a_missing_folder_that_was_named_is_an_error(annals: Run, tmp_path: Path) -> None:
    """An explicit CLAUDE_DIR that is missing never turns into the sample."""
    for done in (
        annals("pipeline", CLAUDE_DIR=str(tmp_path / "gone")),
        annals("pipeline", "--claude-dir", str(tmp_path / "gone")),
    ):
        assert done.code == 3
        assert done.out == ""
        assert "gone" in done.err
        assert "hint: " in done.err


def test_a_folder_without_transcripts_is_no_error(annals: Run, home: Path) -> None:
    """A named folder that is empty gives an empty report, and logs what was asked for."""
    empty = home / "projects"
    empty.mkdir()
    done = annals("pipeline", CLAUDE_DIR=str(empty), LOG_LEVEL="info", LOG_FORMAT="json")
    assert done.code == 0, done.err
    assert f"no usage in the transcripts below {empty}" in done.out
    assert "in custody: 0 files" in done.out
    lines = done.err.splitlines()  # a stage that takes long has lines of progress among them
    events = [json.loads(line) for line in lines if line.startswith("{")]
    assert [event["stage"] for event in events] == [
        "sync",
        "extract",
        "load",
        "transform",
        "publish",
    ]
    assert annals("usage", "daily", "--json").data["daily"] == []


def test_a_second_pipeline_is_told_who_runs_the_first(annals: Run, home: Path) -> None:
    """While one runs, another one exits 7 and names the holder; stages do the same."""
    lock = home / ".annals" / "sample" / "pipeline.lock"
    with exclusive(lock, role="pipeline", what="the pipeline"):
        for command in ("pipeline", "extract", "load", "transform", "publish", "validate"):
            done = annals(command, "--json")
            assert done.code == 7, (command, done.err)
            assert f"pid {os.getpid()}" in done.err


def test_interrupted_it_exits_130_and_the_next_run_goes_on(home: Path, annals: Run) -> None:
    """Ctrl-C in the middle ends with 130; the next command finds nothing broken."""
    process = subprocess.Popen(
        [sys.executable, "-m", "analytics.cli", "pipeline"],
        env=clean_environment(home),
        cwd=home,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    lock = home / ".annals" / "sample" / "pipeline.lock"
    deadline = time.monotonic() + 180
    while not lock.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=180) == 130
    assert annals("sync", "once").code == 0
    assert annals("extract").code == 0


INTERRUPTED_IN_MADE_CODE = """
import sys
from analytics.cli import app
from analytics.cli.__main__ import main

def run(arguments):
    try:
        exec("raise KeyboardInterrupt")
    except KeyboardInterrupt:
        print("told")
        return 130

app.run = run
main()
"""


def test_interrupted_at_any_instruction_it_exits_130(tmp_path: Path) -> None:
    """Also where Python would die of the signal again at its end, and what was printed is out."""
    (tmp_path / "interrupted.py").write_text(INTERRUPTED_IN_MADE_CODE)
    done = subprocess.run(
        [sys.executable, str(tmp_path / "interrupted.py")], capture_output=True, check=False
    )
    assert done.returncode == 130
    assert done.stdout == b"told\n"


def test_a_place_that_cannot_be_written_is_said(annals: Run, tmp_path: Path) -> None:
    """Where nothing can be written, the error names the place and the setting to change."""
    place = Path("/sys/annals") if os.geteuid() == 0 else tmp_path / "locked" / "annals"
    if os.geteuid() != 0:
        place.parent.mkdir(mode=0o500)
    done = annals("pipeline", ANNALS_HOME=str(place))
    assert done.code == 1
    assert str(place) in done.err
    assert "ANNALS_HOME" in done.err
