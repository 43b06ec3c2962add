"""What must not take the figures down: entries without a time, a lost buffer, a closed folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from examples.generator import write_sample
from tests.conftest import Run, clean_environment


def answer(message_id: str, **members: Any) -> str:
    """Return the line of a response of 10 input and 5 output tokens."""
    usage = {"input_tokens": 10, "output_tokens": 5}
    message = {
        "id": message_id,
        "role": "assistant",
        "model": "claude-opus-4-5",
        "stop_reason": "end_turn",
        "usage": usage,
        "content": [],
    }
    record = {"type": "assistant", "uuid": message_id, "requestId": message_id, "message": message}
    return json.dumps(record | members) + "\n"


def test_responses_without_a_time_are_counted_and_said(annals: Run, home: Path) -> None:
    """A missing or unreadable timestamp costs the day, not the tokens, and not the report."""
    folder = home / ".claude" / "projects" / "-p"
    folder.mkdir(parents=True)
    (folder / "s.jsonl").write_text(
        answer("m1", timestamp="2026-03-04T05:06:07.000Z")
        + answer("m2")
        + answer("m3", timestamp="yesterday")
    )
    assert annals("pipeline").code == 0
    report = annals("usage", "daily", "--json").data
    days = {row["date"]: row["inputTokens"] for row in report["daily"]}
    assert days == {"undated": 20, "2026-03-04": 10}
    assert report["totals"]["outputTokens"] == 15
    assert "undated" in annals("usage", "daily").out


def test_after_a_lost_buffer_every_promise_still_holds(annals: Run, home: Path) -> None:
    """With a new buffer everything is read again, nothing is doubled, and validation passes."""
    write_sample(home / ".claude" / "projects")
    assert annals("pipeline").code == 0
    before = annals("usage", "daily", "--json").data["daily"]
    shutil.rmtree(home / ".claude-sync")
    assert annals("pipeline").code == 0
    done = annals("validate", "--deep")
    assert done.code == 0, done.out
    assert annals("usage", "daily", "--json").data["daily"] == before


def test_a_folder_that_may_not_be_read_is_partial(home: Path) -> None:
    """What this user may not read gives exit 6, is named, and is not shown as nothing."""
    closed = home / ".claude" / "projects" / "-closed"
    write_sample(closed.parent)
    closed.mkdir()
    (closed / "s.jsonl").write_text(answer("m1"))
    closed.chmod(0)
    may = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.getuid() == 0 else []
    done = subprocess.run(
        [*may, sys.executable, "-m", "analytics.cli", "sync", "once"],
        env=clean_environment(home),
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )
    closed.chmod(0o755)
    assert done.returncode == 6, done.stderr
    assert "-closed" in done.stderr
    assert "-closed: Permission denied" in done.stdout
