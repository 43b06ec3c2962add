"""``annals sessions show``: a conversation as people, pages and programs read it."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Finished, clean_environment, start

SESSION = "5e550001-0000-4000-8000-000000000001"
MODEL = "claude-opus-4-6"
FOLDER = "-home-ada-src-demo"


def _record(number: int, kind: str, content: Any, **more: Any) -> bytes:
    body: dict[str, Any] = {"role": kind, "content": content}
    if kind == "assistant":
        usage = {"input_tokens": 1, "output_tokens": 2}
        body |= {"id": f"msg_{number}", "model": MODEL, "usage": usage, "stop_reason": "end_turn"}
    record = {
        "type": kind,
        "sessionId": SESSION,
        "uuid": f"00000000-0000-4000-8000-{number:012d}",
        "timestamp": f"2026-09-01T10:00:{number:02d}.000Z",
        "cwd": "/home/ada/src/demo",
        "gitBranch": "main",
        "message": body,
        **more,
    }
    return json.dumps(record).encode() + b"\n"


RESULT = "\n".join(f"line {number}" for number in range(40))
MAIN = (
    _record(1, "user", "Fix\x1b[2J the <b>parser</b>\nand *run* the tests"),
    _record(2, "user", "a note of the program", isMeta=True),
    _record(3, "assistant", [{"type": "thinking", "thinking": "let me think"}]),
    _record(4, "assistant", [{"type": "text", "text": "I look first."}]),
    _record(
        5,
        "assistant",
        [{"type": "tool_use", "id": "t1", "name": "Bash", "input": {"command": "make\ntest"}}],
    ),
    _record(
        6,
        "user",
        [{"type": "tool_result", "tool_use_id": "t1", "content": RESULT, "is_error": True}],
    ),
    _record(7, "user", [{"type": "image", "source": {"data": "AAAA"}}]),
    b'{"type":"mode","mode":"plan"}\n',
    b"not JSON at all\n",
    _record(8, "assistant", [{"type": "text", "text": "Done."}]),
)


@pytest.fixture(scope="module")
def read_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a home whose only session is in custody, and deleted from disk since."""
    home = tmp_path_factory.mktemp("show")
    folder = home / ".claude" / "projects" / FOLDER
    below = folder / SESSION / "subagents"
    below.mkdir(parents=True)
    (folder / f"{SESSION}.jsonl").write_bytes(b"".join(MAIN))
    (below / "agent-a1.jsonl").write_bytes(
        _record(9, "user", "search for callers", isSidechain=True)
    )
    done = start("pipeline", "--json", home=home, cwd=home)
    assert done.code in (0, 6), done.err
    (folder / f"{SESSION}.jsonl").unlink()
    return home


def _show(home: Path, *words: str) -> Finished:
    return start("sessions", "show", SESSION[:6], *words, home=home, cwd=home)


def test_a_session_reads_as_a_conversation(read_home: Path) -> None:
    """Who spoke, what each tool was asked, how it went; long results are cut, and say so."""
    done = _show(read_home)
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert lines[0] == f"session {SESSION}"
    assert lines[1] == "Fix?[2J the <b>parser</b> and *run* the tests"
    assert lines[2] == "demo, branch main"
    assert lines[3].startswith(
        "2026-09-01 10:00 UTC, 1 minute, 2 prompts, 4 responses, 1 tool call, "
    )
    assert "you  2026-09-01 10:00:01" in lines
    assert f"agent ({MODEL})  2026-09-01 10:00:04" in lines
    assert "  Fix?[2J the <b>parser</b>" in lines
    assert "  and *run* the tests" in lines
    assert "  > Bash  make test" in lines
    assert lines.count("  ! line 11") == 1
    assert "  ! line 12" not in lines
    assert "  ! ... 28 more lines: --full" in lines
    assert "  [image]" in lines
    assert "a note of the program" not in done.out
    assert "let me think" not in done.out
    assert lines[-2].endswith(" of the program's own left out: --full")
    assert lines[-1] == "1 transcript of subagents not shown: --subagents"


def test_full_leaves_nothing_out(read_home: Path) -> None:
    """Thinking, notices, whole results and the other records are there with --full."""
    done = _show(read_home, "--full", "--subagents")
    lines = done.out.splitlines()
    for line in ("~ let me think", "a note of the program", "! line 39", "[mode]", "[quarantine]"):
        assert f"  {line}" in lines, line
    assert f"subagent {SESSION}/subagents/agent-a1.jsonl" in lines
    assert "  search for callers" in lines
    assert "left out" not in done.out


def test_a_page_in_markdown_shows_texts_as_they_are(read_home: Path) -> None:
    """No text becomes markup, and what tools said is code."""
    done = _show(read_home, "--md")
    assert done.code == 0, done.err
    assert "the &lt;b&gt;parser&lt;/b&gt;" in done.out
    assert "\\*run\\*" in done.out
    assert "\x1b" not in done.out
    assert "\n    > Bash  make test\n" in done.out


def test_json_has_every_record_with_its_place(read_home: Path) -> None:
    """Each record is a message with file and offset; calls have all their arguments."""
    found = json.loads(_show(read_home, "--json", "--subagents").out)
    assert found["session"] == SESSION
    messages = found["messages"]
    assert len(messages) == len(MAIN) + 1
    offsets = [message["byte_offset"] for message in messages[:-1]]
    assert offsets == [sum(map(len, MAIN[:number])) for number in range(len(MAIN))]
    (call,) = messages[4]["parts"]
    assert call["input"] == {"command": "make\ntest"}
    (result,) = messages[5]["parts"]
    assert (result["is_error"], result["text"]) == (True, RESULT)


def test_raw_is_the_records_themselves(read_home: Path) -> None:
    """Every record comes with its own bytes, one a line."""
    assert _show(read_home, "--raw").out.encode() == b"".join(MAIN)


def test_forms_exclude_each_other(read_home: Path) -> None:
    """Two forms at once are refused."""
    done = _show(read_home, "--raw", "--md")
    assert done.code == 2
    assert "--json, --md and --raw exclude each other" in done.err


def test_a_terminal_gets_the_pager_of_its_user(read_home: Path) -> None:
    """PAGER is run with the page on its input."""
    seen = read_home / "paged"
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "analytics.cli", "sessions", "show", SESSION],
        env=clean_environment(read_home, PAGER=f"tee {seen}", TERM="xterm"),
        stdin=theirs,
        stdout=theirs,
        check=False,
        timeout=120,
    )
    os.close(ours)
    os.close(theirs)
    assert done.returncode == 0
    assert "I look first." in seen.read_text()
    assert "\x1b[2J" not in seen.read_text()
