"""The other commands that read: sessions, iceberg, status, config, version."""

from __future__ import annotations

import json
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from annals import __version__
from annals.locks import exclusive
from examples.generator import write_sample
from tests.conftest import Built, Run, WriteSettings, start


def test_sessions_lists_every_session_newest_first(built: Built, tmp_path: Path) -> None:
    """Every session of the transcripts is listed once, with its project and figures."""
    truth = write_sample(tmp_path)
    rows = built.read("sessions", "list", "--json").data["sessions"]
    assert {row["session_id"] for row in rows} == truth.sessions
    assert len(rows) == len(truth.sessions)
    started = [row["started_at"] for row in rows if row["started_at"]]
    assert started == sorted(started, reverse=True)
    assert sum(row["api_responses"] for row in rows) == len(truth.responses)
    assert sum(row["tool_calls"] for row in rows) == truth.tool_calls


def test_sessions_have_titles_and_work(built: Built) -> None:
    """A session has the agent's own title or its first prompt, active minutes and errors."""
    rows = built.read("sessions", "list", "--json").data["sessions"]
    assert {row["title_source"] for row in rows} <= {"custom", "ai", "summary", "prompt"}
    assert all(row["title"] for row in rows if row["human_turns"])
    for row in rows:
        assert (row["active_minutes"] > 0) == (row["started_at"] is not None)
        assert row["is_live"] is False
    table = built.read("sessions", "list", "--all").out
    assert all(row["title"][:20].rstrip() in table for row in rows if row["title_source"] == "ai")


@pytest.mark.parametrize("sort", ["cost", "tokens", "minutes", "prompts", "errors"])
def test_sessions_are_sorted_by_what_is_asked(built: Built, sort: str) -> None:
    """Each figure sorts in both directions, and every session stays in the list."""
    column = {
        "cost": "cost_usd",
        "tokens": "total_tokens",
        "minutes": "active_minutes",
        "prompts": "human_turns",
        "errors": "errors",
    }[sort]
    every = built.read("sessions", "list", "--json").data["sessions"]
    for order in ("asc", "desc"):
        done = built.read("sessions", "list", "--json", "--sort", sort, "--order", order)
        rows = done.data["sessions"]
        values = [row[column] for row in rows if row[column] is not None]
        assert values == sorted(values, reverse=order == "desc")
        assert len(rows) == len(every)


def test_sessions_are_those_of_a_branch_a_machine_and_a_model(built: Built) -> None:
    """Filters leave the sessions that fit all of them; an unknown machine is refused."""
    every = built.read("sessions", "list", "--json").data["sessions"]
    one = next(row for row in every if row["git_branch"] and row["last_model_id"])
    words = ("--branch", one["git_branch"], "--host", one["host"], "--model", one["last_model_id"])
    rows = built.read("sessions", "list", "--json", *words).data["sessions"]
    assert one["session_id"] in {row["session_id"] for row in rows}
    assert all(row["git_branch"] == one["git_branch"] for row in rows)
    assert built.read("sessions", "list", "--live", "--json").data["sessions"] == []
    refused = built.read("sessions", "list", "--host", "nowhere")
    assert (refused.code, "nowhere" in refused.err) == (2, True)


def test_text_of_conversations_is_in_no_catalog_of_gold(built: Built) -> None:
    """Titles are beside gold, in a catalog of their own; gold has neither titles nor prompts."""
    (current,) = (built.home / ".annals").rglob("published/current")
    with duckdb.connect(str(current.resolve() / "reading.duckdb"), read_only=True) as reading:
        titles = {name for (name,) in reading.execute("select title from sessions").fetchall()}
    assert any(titles)
    with duckdb.connect(str(current.resolve() / "catalog.duckdb"), read_only=True) as gold:
        columns = gold.execute(
            "select column_name from information_schema.columns where table_schema = 'gold'"
        ).fetchall()
        assert {name for (name,) in columns}.isdisjoint({"title", "prompt", "text", "cwd"})


def test_sessions_can_be_narrowed_down(built: Built) -> None:
    """--limit, --order, --since and --until choose among them."""
    rows = built.read("sessions", "list", "--json").data["sessions"]
    oldest = [row["session_id"] for row in rows if row["started_at"]][-1]
    first = built.read("sessions", "list", "--json", "--limit", "1", "--order", "asc").data
    assert [row["session_id"] for row in first["sessions"]] == [oldest]
    since = rows[0]["ended_at"][:10]
    late = built.read("sessions", "list", "--json", "--since", since).data["sessions"]
    assert rows[0]["session_id"] in {row["session_id"] for row in late}
    assert all(row["ended_at"][:10] >= since for row in late)
    table = built.read("sessions", "list").out
    assert all(row["session_id"] in table for row in rows)


def test_iceberg_shows_the_lake(built: Built) -> None:
    """The lake's rows, snapshots and position agree with what was extracted."""
    extracted = built.pipeline.data["stages"]["extract"]
    lake = built.read("iceberg", "info", "--json").data["lake"]
    assert lake["rows"] == extracted["records_read"]
    assert lake["current_snapshot_id"] == extracted["snapshot_id"]
    assert list(lake["positions"].values()) == [extracted["records_read"]]
    snapshots = built.read("iceberg", "snapshots", "--json").data["snapshots"]
    assert [one["snapshot_id"] for one in snapshots] == [extracted["snapshot_id"]]
    assert snapshots[0]["kind"] == "extract"
    assert str(extracted["snapshot_id"]) in built.read("iceberg", "snapshots", "--limit", "1").out


def test_iceberg_without_a_lake_says_so(annals: Run) -> None:
    """Before the first extraction there is no lake; the error says which command makes it."""
    done = annals("iceberg", "info")
    assert done.code == 1
    assert "pipeline" in done.err


def test_status_after_a_run(built: Built) -> None:
    """The last run, the build and its prices are named, and nothing waits."""
    now = built.read("status", "--json").data
    assert now["last_run"]["command"] == "pipeline"
    assert now["last_run"]["outcome"] == "ok"
    assert set(now["lag"].values()) == {0}
    assert now["build"]["price_version"]
    assert now["unreadable"] == {}
    assert now["holders"] == {"pipeline": None, "buffer": None}
    shown = built.read("status").out
    assert "waiting     nothing" in shown
    assert now["build"]["build_id"] in shown


def test_status_before_any_run(annals: Run) -> None:
    """On a new machine everything waits and nothing fails."""
    now = annals("status", "--json").data
    assert now["last_run"] is None
    assert now["lake"] is None
    assert now["lag"]["bytes"] == now["custody"]["bytes_on_disk"] > 0


def test_status_counts_what_waits(annals: Run) -> None:
    """Records that are only buffered wait for the lake; what is in the lake waits to be loaded."""
    synced = annals("sync", "once", "--json").data["sync"]
    waiting = annals("status", "--json").data["lag"]
    assert waiting["bytes"] == 0
    assert waiting["records"] >= synced["entries_new"] > 0
    annals("extract")
    waiting = annals("status", "--json").data["lag"]
    assert (waiting["records"], waiting["snapshots"]) == (0, 1)


def test_status_says_who_is_at_work(annals: Run, home: Path) -> None:
    """A running pipeline is named with its process id."""
    lock = home / ".annals" / "sample" / "pipeline.lock"
    with exclusive(lock, role="pipeline", what="the pipeline"):
        assert "pipeline: pipeline (pid " in annals("status").out


def test_status_says_who_holds_the_warehouse(built: Built, tmp_path: Path) -> None:
    """During a run that is a fact and no fault, and nothing is said to wait."""
    home = Path(shutil.copytree(built.home, tmp_path / "home", symlinks=True))
    state = home / ".annals" / "sample"
    opening = f"import duckdb; c = duckdb.connect({str(state / 'analytics.db')!r})"
    code = f"{opening}; print(1, flush=True); input()"
    with (
        exclusive(state / "pipeline.lock", role="pipeline", what="the pipeline"),
        subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as holder,
    ):
        assert holder.stdout is not None
        holder.stdout.readline()
        shown = start("status", home=home, cwd=home)
        now = start("status", "--json", home=home, cwd=home).data
        holder.kill()
    assert shown.code == 0
    assert "warehouse   in use by pipeline (pid " in shown.out
    assert "warehouse   cannot be read" not in shown.out
    assert "waiting" not in shown.out
    assert (set(now["in_use"]), now["lag"]) == ({"warehouse"}, {})
    assert "warehouse" not in now["unreadable"]


@pytest.mark.parametrize("command", ["sync once", "pipeline"])
def test_a_transcript_folder_that_is_missing_is_a_setting(
    command: str, annals: Run, tmp_path: Path
) -> None:
    """Exit 3 with the path; a file in its place is the same."""
    (tmp_path / "file").touch()
    for name in ("nowhere", "file"):
        done = annals(*command.split(), "--claude-dir", str(tmp_path / name))
        assert done.code == 3
        assert str(tmp_path / name) in done.err


def test_status_remembers_a_failure(annals: Run, tmp_path: Path) -> None:
    """A run that failed is the last run, with the name of its error."""
    annals("pipeline", CLAUDE_DIR=str(tmp_path / "gone"))
    now = annals("status", "--json", CLAUDE_DIR=str(tmp_path / "gone")).data
    assert now["last_run"]["outcome"] == "TranscriptFolderError"
    assert "gone" in now["last_run"]["message"]
    assert "gone" in now["unreadable"]["custody"]


def test_config_shows_where_values_come_from(
    in_process: Run, monkeypatch: pytest.MonkeyPatch, settings_text: WriteSettings
) -> None:
    """--origin names flag, environment, line of .env or default."""
    settings_text("BUILDS_KEPT=4\n")
    monkeypatch.setenv("LOG_LEVEL", "error")
    monkeypatch.setenv("MONGO_URI", "mongodb://me:secret@host/db?password=hidden")
    done = in_process("--set", "TIMEZONE=UTC", "config", "show", "--origin", "--json")
    settings = done.data["settings"]
    assert settings["TIMEZONE"] == {"value": "UTC", "origin": "flag --set TIMEZONE"}
    assert settings["LOG_LEVEL"]["origin"] == "environment LOG_LEVEL"
    assert settings["BUILDS_KEPT"] == {"value": "4", "origin": "~/annals.env line 1"}
    assert settings["BATCH_SIZE"] == {"value": "1000", "origin": "default"}
    assert settings["MONGO_URI"]["value"] == "mongodb://***@host/***?***"
    paths = done.data["paths"]
    assert paths["warehouse"] == str(Path.home() / ".annals" / "sample" / "analytics.db")
    assert paths["transcripts"].endswith("examples/transcripts")
    plain = in_process("config", "show", "--origin").out
    assert re.search(r"^buffer +/.*/sample/buffer.db$", plain, re.MULTILINE)
    assert "secret" not in plain
    assert "hidden" not in plain
    assert "origin" not in in_process("config", "show", "--json").data["settings"]["TIMEZONE"]


def test_version(in_process: Run) -> None:
    """The version is printed plain and as JSON."""
    assert in_process("version").out == f"{__version__}\n"
    assert in_process("version", "--json").data == {"schema_version": 1, "version": __version__}


def test_reading_writes_nothing(built: Built) -> None:
    """No command that only reads changes a file of the state."""

    def state() -> dict[str, tuple[int, int]]:
        found = {}
        for path in sorted(built.home.rglob("*")):
            status = path.lstat()
            if stat.S_ISREG(status.st_mode) and not path.name.endswith(("-shm", "-wal", ".lock")):
                found[str(path)] = (status.st_size, status.st_mtime_ns)
        return found

    before = state()
    for command in ("usage daily", "sessions list", "iceberg info", "status", "config show"):
        assert built.read(*command.split(), "--json").code == 0
    assert state() == before
    assert json.dumps(before)
