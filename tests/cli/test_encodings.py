"""No encoding of an input or of an output ends a command as a defect."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from analytics.cli.app import run
from annals.process.streams import prepare_streams
from tests.conftest import ROOT, Finished, Run, start

NAMES = ("cafe\\u0301", "\\ud83d\\ude00", "\\u4f1a\\u8a71", "\\udc80 alone", "\\u202eright")
ENCODINGS = ("ascii", "latin-1", "cp1252", "utf-16")
COMMANDS = (
    ("sessions", "list"),
    ("usage", "daily"),
    ("usage", "session"),
    ("usage", "models"),
    ("usage", "weekly"),
    ("usage", "monthly"),
    ("usage", "blocks"),
    ("usage", "projects"),
    ("usage", "branches"),
    ("usage", "hosts"),
    ("usage", "tools"),
    ("status",),
    ("sync", "status"),
    ("sync", "quarantine", "list"),
    ("sync", "log"),
    ("iceberg", "info"),
    ("iceberg", "snapshots"),
    ("config", "show"),
    ("statusline",),
    ("doctor",),
    ("validate",),
    ("version",),
)
"""Every command that reads; test_every_command_that_reads_is_here compares."""

SHOWN = (("sessions", "show", "s0"), ("sessions", "show", "s0", "--json"))
COPIED = (("sessions", "show", "s0", "--raw"), ("sessions", "export", "s0"))
"""Those that need a name; of the last ones every byte is the transcript's own."""

_OTHERS = {
    *("backup", "restore", "repair", "down", "up", "extract", "load", "transform", "publish"),
    *("pipeline", "sync allow", "sync flush", "sync install", "sync once", "sync replay"),
    *("sync run", "sync uninstall", "sync quarantine retry", "sync quarantine show"),
    *("sessions export", "sessions restore", "sessions show"),
}
"""Commands that do something, or need a name; they print by the same functions."""


def _line(number: int, name: str) -> str:
    usage = '{"input_tokens":1,"output_tokens":2}'
    return (
        f'{{"type":"assistant","uuid":"u{number}","sessionId":"s{number}","requestId":"r{number}",'
        f'"timestamp":"2026-01-01T00:00:0{number}Z","cwd":"/home/dev/{name}","gitBranch":"{name}",'
        f'"message":{{"id":"m{number}","role":"assistant","model":"claude-{name}",'
        f'"usage":{usage},"content":[]}}}}\n'
    )


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a home with transcripts whose names, folders and values are hard to print."""
    home = tmp_path_factory.mktemp("odd")
    for number, name in enumerate(NAMES):
        folder = home / "transcripts" / f"-home-dev-{number}-\u0301\U0001f600"
        folder.mkdir(parents=True)
        (folder / f"s{number}.jsonl").write_text(_line(number, name) + "{broken\n")
    raw = os.fsencode(home / "transcripts") + b"/-home-caf\xe9"
    Path(os.fsdecode(raw)).mkdir()
    Path(os.fsdecode(raw + b"/s\xff.jsonl")).write_text(_line(9, "x") + "{broken\n")
    done = start("pipeline", home=home, cwd=home, CLAUDE_DIR=str(home / "transcripts"))
    assert done.code in (0, 6), done.err
    return home


@pytest.fixture(scope="module")
def meant() -> dict[tuple[str, ...], Finished]:
    """Return what each command writes in UTF-8, filled as tests ask for it."""
    return {}


def _read(arguments: tuple[str, ...], encoding: str, monkeypatch: pytest.MonkeyPatch) -> Finished:
    """Run a command in this process with streams of that encoding, as ``main`` prepares them."""
    name, _, errors = encoding.partition(":")
    out, err = (io.TextIOWrapper(io.BytesIO(), name, errors or "strict") for _ in range(2))
    with monkeypatch.context() as streams:
        streams.setattr(sys, "stdout", out)
        streams.setattr(sys, "stderr", err)
        prepare_streams()
        code = run(arguments)
        out.flush()
        err.flush()
    texts = (stream.buffer.getvalue().decode(name) for stream in (out, err))  # type: ignore[attr-defined]
    return Finished(code, *texts)


def _outputs() -> Iterator[Any]:
    """Return each command with each encoding, the dearest with the poorest and the widest alone."""
    for arguments in (*COMMANDS, *SHOWN):
        for encoding in ("ascii", "utf-16") if arguments == ("validate",) else ENCODINGS:
            yield pytest.param(arguments, encoding, id=f"{' '.join(arguments)}-{encoding}")


@pytest.mark.parametrize(("arguments", "encoding"), list(_outputs()))
def test_each_output_takes_every_name(
    odd: Path,
    arguments: tuple[str, ...],
    encoding: str,
    monkeypatch: pytest.MonkeyPatch,
    meant: dict[tuple[str, ...], Finished],
) -> None:
    """What an encoding lacks is written as an escape: same rows, same exit code, no defect."""
    monkeypatch.setenv("HOME", str(odd))
    monkeypatch.setenv("CLAUDE_DIR", str(odd / "transcripts"))
    done = _read(arguments, encoding, monkeypatch)
    assert "defect" not in done.err
    assert "Unicode" not in done.err
    if arguments not in meant:
        meant[arguments] = _read(arguments, "utf-8", monkeypatch)
    assert done.code == meant[arguments].code
    assert len(done.out.splitlines()) == len(meant[arguments].out.splitlines())


def test_every_command_that_reads_is_here() -> None:
    """A new command is either among those that are read here, or among those that act."""
    from typer.main import get_command

    from analytics.cli.app import app

    known = {" ".join(words) for words in COMMANDS} | _OTHERS
    assert set(_names(get_command(app), ())) == known


def _names(command: Any, path: tuple[str, ...]) -> Iterator[str]:
    if not hasattr(command, "commands"):
        yield " ".join(path)
        return
    for name, below in command.commands.items():
        yield from _names(below, (*path, name))


@pytest.mark.parametrize("arguments", [*COMMANDS, *SHOWN, *COPIED, ("--help",)], ids=" ".join)
def test_an_output_that_nobody_reads_is_no_failure(
    odd: Path, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After ``| head -1`` has left, a command ends with exit code 0 and without an error."""
    monkeypatch.setenv("HOME", str(odd))
    monkeypatch.setenv("CLAUDE_DIR", str(odd / "transcripts"))
    reader, writer = os.pipe()
    os.close(reader)
    err = io.StringIO()
    with os.fdopen(writer, "w", encoding="utf-8") as out, monkeypatch.context() as streams:
        streams.setattr(sys, "stdout", out)
        streams.setattr(sys, "stderr", err)
        code = run(arguments)
    assert (code, "error:" in err.getvalue()) == (0, False), err.getvalue()


def test_an_output_without_space_is_a_full_disk(home: Path) -> None:
    """The exit code is 10 and stays so while Python ends, which writes what is left once more."""
    command = f"{sys.executable} -m analytics.cli --help > /dev/full"
    done = subprocess.run(
        ["bash", "-c", command],
        env={"HOME": str(home), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "Exception ignored" in done.stderr) == (10, False), done.stderr


def test_an_error_that_cannot_be_written_keeps_its_exit_code(home: Path) -> None:
    """Standard error on a full disk makes a wrong option no other failure."""
    command = f"{sys.executable} -m analytics.cli usage daily --nonsense 2> /dev/full"
    environment = {"HOME": str(home), "PATH": os.environ["PATH"]}
    done = subprocess.run(["bash", "-c", command], env=environment, cwd=ROOT, check=False)
    assert done.returncode == 2


@pytest.mark.parametrize("encoding", ["ascii", "latin-1:strict"])
def test_the_command_itself_prepares_its_output(odd: Path, encoding: str) -> None:
    """The program does it as it starts, whatever the environment says of its output."""
    done = start(
        *("sessions", "list"),
        home=odd,
        cwd=odd,
        CLAUDE_DIR=str(odd / "transcripts"),
        PYTHONIOENCODING=encoding,
    )
    assert done.code == 0, done.err
    assert "\\U0001f600" in done.out


def test_json_is_ascii_and_whole(odd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """JSON needs no encoding."""
    monkeypatch.setenv("HOME", str(odd))
    monkeypatch.setenv("CLAUDE_DIR", str(odd / "transcripts"))
    done = _read(("sessions", "list", "--json"), "ascii", monkeypatch)
    assert done.code == 0
    assert json.loads(done.out)


HEADER = (
    "model_pattern,valid_from,valid_to,input,output,cache_write_5m,cache_write_1h,cache_read,"
    "web_search,source\n"
)


@pytest.mark.parametrize(
    ("encoding", "line"),
    [("cp1252", 2), ("latin-1", 2), ("utf-16", 1), ("utf-16-le", 1), ("utf-32", 1)],
)
def test_a_price_file_in_another_encoding_is_named(home: Path, encoding: str, line: int) -> None:
    """The error has file, line and remedy (exit 3)."""
    from annals.errors import SettingsError
    from loaders.prices import user_rows

    prices = home / "prices.csv"
    prices.write_bytes(f"{HEADER}opus,,,5,25,,,,,café\n".encode(encoding))
    with pytest.raises(SettingsError, match=f"prices.csv line {line} is not text") as caught:
        list(user_rows(prices))
    assert "UTF-8" in caught.value.hint


def test_a_price_file_with_a_byte_order_mark_is_read(home: Path) -> None:
    """Spreadsheets begin UTF-8 with such a mark."""
    from loaders.prices import user_rows

    prices = home / "prices.csv"
    prices.write_bytes(f"{HEADER}opus,,,5,25,,,,,café\n".encode("utf-8-sig"))
    assert [row["source"] for row in user_rows(prices)] == ["café"]


def test_a_place_that_is_no_text_is_named(annals: Run, home: Path) -> None:
    """A folder whose name is not UTF-8 is a wrong setting (exit 3)."""
    done = annals("status", ANNALS_HOME=os.fsdecode(os.fsencode(home) + b"/caf\xe9"))
    assert done.code == 3
    assert "ANNALS_HOME" in done.err
