"""Which file settings are read from, and what is refused in its place."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from annals.errors import SettingsError
from annals.settings import Settings, load_settings
from annals.settings.files import MAX_BYTES, VARIABLE, settings_files
from tests.conftest import PACKAGES, ROOT, Run, WriteSettings, clean_environment

HOSTILE = {
    "claude_dir": "/nowhere/transcripts",
    "mongo_uri": "mongodb://shop:hunter2@db.example.org/shop",
    "prefect_api_url": "http://prefect.example.org/api",
    "notify_url": "https://hooks.example.org/hunter2",
    "notify_with": "slack",
    "s3_endpoint": "http://objects.example.org",
    "iceberg_catalog_type": "rest",
    "iceberg_catalog_uri": "http://catalog.example.org",
    "timezone": "Asia/Tokyo",
    "log_level": "http",
    "reads_transcripts": "false",
    "dbt_target": "prod",
    "allow_destinations": "db.example.org",
}
"""What another program may mean by names that are settings here; others get a text of their own."""


def _hostile_file(folder: Path) -> None:
    lines = [f"{name.upper()}={HOSTILE.get(name, '4711')}" for name in Settings.model_fields]
    (folder / ".env").write_text("\n".join(lines) + "\n")


def _checkout(folder: Path) -> Path:
    """Return a copy of the checkout's code, for a program that runs from another place."""
    for name in PACKAGES:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "Makefile"):
        shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the checkout that tests may put a file of settings into."""
    return _checkout(tmp_path_factory.mktemp("checkout"))


def _run(*command: str, cwd: Path, home: Path, code: Path = ROOT) -> str:
    environment = clean_environment(home, **{VARIABLE: "", "PYTHONPATH": str(code)})
    done = subprocess.run(
        [sys.executable, "-P", *command],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


DUMP = (
    "import annals.settings.model as m; from annals.settings import load_settings;"
    "print(load_settings(host_name='h').model_dump_json())"
)
PROGRAMS = {
    "annals": ("-m", "analytics.cli", "--set", "HOST_NAME=h", "config", "show", "--json"),
    "operations.stack": ("-c", f"import operations.stack.__main__; {DUMP}"),
    "flows.prefect": ("-c", f"import flows.prefect.__main__; {DUMP}"),
    "operations.dbt_docs": ("-c", f"import operations.dbt_docs; {DUMP}"),
    "operations.metrics": ("-c", f"import operations.metrics; {DUMP}"),
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_foreign_folder_changes_no_setting(
    program: str, home: Path, tmp_path: Path, checkout: Path
) -> None:
    """From a folder whose .env sets every name, each program has the settings it always has."""
    command = PROGRAMS[program]
    before = _run(*command, cwd=home, home=home, code=checkout)
    _hostile_file(tmp_path)
    assert _run(*command, cwd=tmp_path, home=home, code=checkout) == before


@pytest.mark.parametrize("name", list(Settings.model_fields))
def test_no_single_setting_comes_from_the_working_folder(
    name: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever setting a .env in the working folder names, its value stays the default."""
    monkeypatch.setenv(VARIABLE, "")
    expected = getattr(load_settings(), name)
    (home / ".env").write_text(f"{name.upper()}={HOSTILE.get(name, '4711')}\n")
    assert getattr(load_settings(), name) == expected


@pytest.mark.parametrize("name", ["claude_dir", "annals_home", "sqlite_path", "duckdb_path"])
def test_a_relative_path_begins_at_the_file(
    name: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From whichever folder a command is typed, the settings file means the same places."""
    file = home / "annals.env"
    file.write_text(f"{name.upper()}=state/x\n")
    monkeypatch.setenv(VARIABLE, str(file))
    monkeypatch.chdir(tmp_path)
    assert getattr(load_settings(), name) == home.resolve() / "state" / "x"


def test_the_first_file_counts(
    checkout: Path, home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """--env-file, then ANNALS_ENV_FILE, then .env of the checkout, then the user's own file."""
    own = home / ".config" / "annals" / "annals.env"
    own.parent.mkdir(parents=True)
    own.write_text("BUILDS_KEPT=4\n")
    show = ("-m", "analytics.cli", "config", "show", "--origin")

    def row(*arguments: str) -> str:
        text = _run(*show[:2], *arguments, *show[2:], cwd=tmp_path, home=home, code=checkout)
        return next(line for line in text.splitlines() if line.startswith("BUILDS_KEPT"))

    assert "~/.config/annals/annals.env line 1" in row()
    (checkout / ".env").write_text("BUILDS_KEPT=5\n")
    try:
        assert f"{checkout}/.env line 1" in row()
        (tmp_path / "mine").write_text("\nBUILDS_KEPT=6\n")
        assert f"{tmp_path}/mine line 2" in row("--env-file", "mine")
        assert "default" in row("--env-file", os.devnull)
    finally:
        (checkout / ".env").unlink()


def test_a_file_by_name_reaches_children(home: Path, tmp_path: Path) -> None:
    """Programs beside `annals` take --env-file, too; what it names is read."""
    (tmp_path / "mine").write_text("TIMEZONE=Mars/Olympus\n")
    for module in ("operations.dbt_docs", "operations.metrics"):
        done = subprocess.run(
            [sys.executable, "-m", module, "--env-file", "mine"],
            cwd=tmp_path,
            env=clean_environment(home, TIMEZONE=""),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, "mine line 1" in done.stderr) == (3, True), done.stderr


def test_a_relative_name_in_the_environment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """ANNALS_ENV_FILE=.env would be the working folder's file by another way: exit 3."""
    monkeypatch.setenv(VARIABLE, ".env")
    with pytest.raises(SettingsError, match="depends on the working folder"):
        load_settings()


def _named_pipe(path: Path) -> None:
    os.mkfifo(path)


def _large(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1024**3)


def _slightly_large(path: Path) -> None:
    path.write_bytes(b"#" * (MAX_BYTES + 1))


def _utf_16(path: Path) -> None:
    path.write_text("TIMEZONE=UTC\n", encoding="utf-16")


def _utf_16_without_mark(path: Path) -> None:
    path.write_text("TIMEZONE=UTC\n", encoding="utf-16-le")


def _open_to_all(path: Path) -> None:
    path.write_text("TIMEZONE=UTC\n")
    path.chmod(0o666)


def _dangling(path: Path) -> None:
    path.symlink_to("nowhere")


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (Path.mkdir, "is a folder"),
        (_named_pipe, "is a named pipe"),
        (_socket, "cannot be read"),
        (_large, "has 1,073,741,824 bytes"),
        (_slightly_large, "bytes, more than"),
        (_utf_16, "UTF-16"),
        (_utf_16_without_mark, "UTF-16"),
        (_open_to_all, "can be changed by every user"),
        (_dangling, "cannot be read"),
    ],
)
def test_what_is_no_file_of_settings_is_refused_at_once(
    make: Callable[[Path], None], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is a SettingsError with path and remedy; nothing waits for a writer or reads 1 GB."""
    folder = Path(os.environ["HOME"])
    path = folder / "annals.env"
    make(path)
    monkeypatch.setenv(VARIABLE, str(path))
    with pytest.raises(SettingsError) as raised:
        load_settings()
    assert words in raised.value.message
    assert str(path) in raised.value.message
    assert raised.value.hint


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that nobody named and another user owns is refused; by name it is read."""
    path = home / ".config" / "annals" / "annals.env"
    path.parent.mkdir(parents=True)
    path.write_text("BUILDS_KEPT=4\n")
    os.chown(path, 4711, 4711)
    monkeypatch.setenv(VARIABLE, "")
    if settings_files()[0] != path:
        pytest.skip("this checkout has a .env of its own")
    with pytest.raises(SettingsError, match="another user"):
        load_settings()
    monkeypatch.setenv(VARIABLE, str(path))
    assert load_settings().builds_kept == 4


def test_a_link_is_followed_and_a_mark_is_skipped(home: Path, settings_text: WriteSettings) -> None:
    """A link to a sound file is read, as those who keep such files elsewhere have it."""
    path = settings_text("")
    (home / "kept").write_text("BUILDS_KEPT=4\n", encoding="utf-8-sig")
    path.unlink()
    path.symlink_to("kept")
    assert load_settings().builds_kept == 4


def test_doctor_names_both_files(in_process: Run, home: Path, settings_text: WriteSettings) -> None:
    """With two files it says which one is read, and that the other is not."""
    other = home / ".config" / "annals" / "annals.env"
    other.parent.mkdir(parents=True)
    other.write_text("BUILDS_KEPT=9\n")
    settings_text("BUILDS_KEPT=4\n").chmod(0o664)
    found = [
        (one["verdict"], one["says"])
        for one in in_process("doctor", "--json").data["findings"]
        if one["check"] == "settings file"
    ]
    assert ("warn", "~/annals.env is read; its group may change it") in found
    assert any("~/.config/annals/annals.env is not read" in says for _, says in found)
