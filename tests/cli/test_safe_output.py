"""No field of a transcript, in whichever output, drives a terminal or becomes markup."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path
from typing import Any

import pytest

from analytics.cli.app import run as run_command
from analytics.cli.usage_json import print_csv
from annals.settings import Settings, load_settings
from annals.telemetry.exposition import Metric, exposition
from annals.telemetry.logs import LogFile, configure_logs, log_warning
from tests.conftest import start

EVIL = "\x1b]0;own\x07\x1b[31m\x7f\x9b5n\u202e\u2066\u200b\n<b>[x](http://e) | `*error: no\r\t"
COMMANDS = [
    ["usage", "daily"],
    ["usage", "daily", "--breakdown"],
    ["usage", "models"],
    ["usage", "session"],
    ["sessions", "list"],
    ["sync", "once"],
    ["sync", "status"],
    ["sync", "log"],
    ["sync", "quarantine", "list"],
    ["iceberg", "info"],
    ["iceberg", "snapshots"],
    ["config", "show"],
    ["status"],
    ["doctor"],
    ["publish"],
]


def _entry(number: int) -> dict[str, Any]:
    """Return an entry with hostile text in every field that is read from it."""
    usage = {"input_tokens": 10, "output_tokens": 5, "service_tier": EVIL, "speed": EVIL}
    tool = {"type": "tool_use", "id": f"t{number}{EVIL}", "name": EVIL, "input": {EVIL: EVIL}}
    return {
        "type": "assistant",
        "uuid": f"u{number}{EVIL}",
        "parentUuid": EVIL,
        "sessionId": f"s{number}{EVIL}",
        "cwd": f"/home/{EVIL}",
        "gitBranch": EVIL,
        "version": EVIL,
        "requestId": f"r{number}{EVIL}",
        "timestamp": f"2026-01-1{number}T10:00:00Z",
        "slug": EVIL,
        "agentId": EVIL,
        "message": {
            "id": f"m{number}{EVIL}",
            "role": "assistant",
            "model": f"model-{number}{EVIL}",
            "stop_reason": EVIL,
            "content": [tool, {"type": "text", "text": EVIL}, {"type": EVIL}],
            "usage": usage,
        },
    }


def _harm(text: str) -> set[str]:
    """Return the characters that should not have come through; line ends are ours."""
    return {hex(ord(c)) for c in text.replace("\n", "") if not c.isprintable()}


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run the pipeline over hostile transcripts, once; return the home."""
    home = tmp_path_factory.mktemp("hostile")
    name = EVIL.translate({ord(c): None for c in "\n/"})[:60]
    folder = home / ".claude" / "projects" / f"-home-{name}"
    folder.mkdir(parents=True)
    for number in range(3):
        lines = json.dumps(_entry(number)) + f"\n{{broken {EVIL}\n" + '{"type": "user"}\n'
        (folder / f"{number}{name}.jsonl").write_text(lines, encoding="utf-8")
    (folder / os.fsdecode(b"\xff\xfe.jsonl")).write_text('{"a": 1}\n', encoding="utf-8")
    done = start("pipeline", home=home, cwd=home)
    assert done.code in (0, 6), done.err
    assert _harm(done.out + done.err) == set()
    return home


@pytest.fixture
def settings(hostile: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Return the settings of the hostile home."""
    monkeypatch.setenv("HOME", str(hostile))
    monkeypatch.setenv("TIMEZONE", "UTC")
    return load_settings()


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_no_command_sends_codes_to_a_terminal(
    settings: Settings, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """As a table and as JSON, on both outputs, every character is a visible one."""
    for options in ([], ["--json"]):
        run_command([*words, *options])
        written = capsys.readouterr()
        assert _harm(written.out) == set()
        assert _harm(written.err) == set()
        if options and written.out:
            json.loads(written.out)


@pytest.mark.parametrize("report", ["daily", "session", "tools"])
def test_the_other_forms_of_a_report_are_visible_characters(
    settings: Settings, report: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rows and lists of models are cleaned as names are."""
    for options in (["--csv", "--breakdown"], ["--csv"], ["--md", "--breakdown"]):
        assert run_command(["usage", report, *options]) == 0
        written = capsys.readouterr()
        assert "model-0" in written.out
        assert _harm(written.out + written.err) == set()


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("=HYPERLINK(A1)", "'=HYPERLINK(A1)"),
        ("=1", "'=1"),
        ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
        ("-2+3", "'-2+3"),
        ("@SUM(1)", "'@SUM(1)"),
        ("@scope/package", "@scope/package"),
        ("-home-me-project", "-home-me-project"),
    ],
)
def test_no_cell_of_csv_is_a_formula(
    name: str, cell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A spreadsheet shows a name as it is, alone, in a list and in the row of a model."""
    part = {"modelName": name, "inputTokens": 1, "cost": 0.5}
    row = {"project": name, "models": [name], "modelBreakdowns": [part]}
    print_csv([row], header=row, breakdown=True)
    lines = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [lines[0][key] for key in ("project", "models", "modelName")] == [cell] * 3


@pytest.mark.parametrize("json_lines", [True, False])
def test_logs_hold_visible_characters(home: Path, *, json_lines: bool) -> None:
    """An event with hostile values is one line of a log, as text and as JSON."""
    path = home / "log"
    configure_logs(level="info", json_lines=json_lines, file=LogFile(path, 10_000, 1))
    log_warning("event", value=EVIL)
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") == 1
    assert _harm(text) == set()


def test_a_label_is_one_line() -> None:
    """A metric's label with hostile text ends neither its line nor its quotes."""
    metric = Metric("a_total", "counter", "Meaning.", lambda _seen: [({"kind": EVIL + '"'}, 1.0)])
    text = exposition([metric], lambda: None)
    assert len([line for line in text.splitlines() if line.startswith("a_total")]) == 1
    assert _harm(text) == set()


def test_errors_are_two_lines(in_process: Any) -> None:
    """A hostile value that an error names begins no line of its own."""
    done = in_process("--set", f"TIMEZONE={EVIL}", "status")
    assert done.code == 3
    assert done.err.count("\n") == 2
    assert _harm(done.err) == set()
