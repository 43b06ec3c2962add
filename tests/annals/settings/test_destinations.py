"""Places off this machine: allowed, never assumed.

0.0.0.0 is an address off loopback for everybody who judges addresses, and leads to this machine.
"""

from __future__ import annotations

import contextlib
import json
import os
import pty
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from annals.errors import SettingsError
from annals.settings import load_settings
from annals.settings.allowed import add_allowed, allowed_file
from annals.settings.destinations import judge_all, require_allowed
from annals.settings.passing import as_environment
from loaders.lake import open_lake
from tests.conftest import ROOT, Run, WriteSettings, clean_environment
from tests.servers.running import Mongo

SECRET = "hunter2"  # noqa: S105 - a canary
ELSEWHERE = "0.0.0.0"  # noqa: S104 - an address to connect to


class Listener:
    """A server that only notes whether anybody came."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.settimeout(0)
        self.port = int(self._socket.getsockname()[1])

    @property
    def was_visited(self) -> bool:
        """Whether there is a connection that waits to be accepted."""
        with contextlib.suppress(BlockingIOError):
            self._socket.accept()[0].close()
            return True
        return False

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    """Return a server of other work."""
    found = Listener()
    yield found
    found.close()


def _transcript(home: Path) -> str:
    file = home / "transcripts" / "-p" / "chat.jsonl"
    file.parent.mkdir(parents=True)
    file.write_bytes(b'{"type":"user"}\n' * 3)
    return str(home / "transcripts")


@pytest.mark.parametrize(
    "command",
    ["sync once", "sync run", "sync flush", "pipeline", "extract", "status", "doctor", "up",
     "sync install systemd --dry-run"],
)  # fmt: skip
def test_a_server_of_other_work_is_not_connected_to(
    in_process: Run,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    listener: Listener,
) -> None:
    """With MONGO_URI of the environment alone nothing connects; who would send ends with 3."""
    monkeypatch.setenv("CLAUDE_DIR", _transcript(home))
    monkeypatch.setenv("MONGO_URI", f"mongodb://shop:{SECRET}@{ELSEWHERE}:{listener.port}/shop")
    done = in_process(*command.split())
    assert not listener.was_visited
    said = done.out + done.err
    assert SECRET not in said
    assert f"{ELSEWHERE}:{listener.port}" in said
    if command == "status":
        assert (done.code, "not allowed, nothing is sent" in done.out) == (0, True)
        return
    assert f"annals sync allow {ELSEWHERE}:{listener.port}/claude_logs" in said
    assert done.code == (5 if command == "doctor" else 3)
    if command == "sync once":
        assert "database claude_logs" in done.err
        assert "0 records of the buffer, and every later one, would go there" in done.err


@pytest.mark.parametrize(
    ("variables", "command"),
    [
        ({"ICEBERG_CATALOG_TYPE": "rest", "ICEBERG_CATALOG_URI": "http://u:hunter2@{}"}, "extract"),
        ({"ICEBERG_CATALOG_URI": "postgresql://u:hunter2@{}/lake"}, "extract"),
        ({"NOTIFY_WITH": "slack", "NOTIFY_URL": "http://{}/hunter2"}, "up"),
        ({"PREFECT_API_URL": "http://{}/api"}, "up"),
        ({"PREFECT_API_URL": "http://{}/api", "PIPELINE_TRIGGER": "prefect"}, "sync run"),
        ({"PREFECT_API_URL": "http://{}/api"}, "load --prefect"),
    ],
)
def test_every_kind_of_place_has_to_be_allowed(
    in_process: Run,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    command: str,
    listener: Listener,
) -> None:
    """Catalogs, webhooks, Prefect servers: exit 3, nobody is visited and no secret shown."""
    place = f"{ELSEWHERE}:{listener.port}"
    monkeypatch.setenv("CLAUDE_DIR", _transcript(home))
    assert in_process("sync", "once").code == 0
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(place))
    done = in_process(*command.split())
    assert (done.code, listener.was_visited) == (3, False), done.err
    assert f"annals sync allow {place}" in done.err
    assert SECRET not in done.err


def test_an_object_store_of_other_work_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """S3_ENDPOINT, and what libraries look at in its place, are judged for a lake elsewhere."""
    lake = {"iceberg_catalog_type": "rest", "iceberg_catalog_uri": "http://127.0.0.1:8181"}
    require_allowed(load_settings(**lake), "s3_endpoint")
    for name in ("S3_ENDPOINT", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        with monkeypatch.context() as patch:
            patch.setenv(name, "http://objects.example.org")
            with pytest.raises(SettingsError, match=r"objects\.example\.org"):
                require_allowed(load_settings(**lake), "s3_endpoint")


def test_a_prefect_server_of_other_work_stops_no_pipeline(
    in_process: Run, monkeypatch: pytest.MonkeyPatch, listener: Listener
) -> None:
    """An exported PREFECT_API_URL that is not allowed, or not up, is a note: stages run plainly."""
    monkeypatch.setenv("PREFECT_API_URL", f"http://{ELSEWHERE}:{listener.port}/api")
    done = in_process("sync", "once")
    assert done.code == 0
    done = in_process("extract")
    assert (done.code, done.err.count("note: runs without Prefect: ")) == (0, 1), done.err
    assert not listener.was_visited
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:1/api")
    assert "note: runs without Prefect: " in in_process("load").err


def test_what_is_allowed_stays_allowed(in_process: Run, home: Path) -> None:
    """`sync allow` writes allowed.json beside the buffer, mode 600; --remove undoes it."""
    place = "db.example.org:27017/logs"
    assert in_process("sync", "allow", place).out == f"{place}: allowed\n"
    assert in_process("sync", "allow", place).out == f"{place}: was allowed already\n"
    path = home / ".claude-sync" / "allowed.json"
    assert path.stat().st_mode & 0o777 == 0o600
    listed = in_process("sync", "allow", "--list", "--json").data["allowed"]
    assert [(one["destination"], one["how"]) for one in listed] == [(place, "command")]
    uri = "mongodb://u:p@db.example.org/"
    os.environ["MONGO_URI"] = uri
    try:
        assert judge_all(load_settings(mongo_db="logs"))[0].allowed_by == "allowed.json"
        assert judge_all(load_settings(mongo_db="other"))[0].allowed_by is None
    finally:
        del os.environ["MONGO_URI"]
    assert in_process("sync", "allow", "--remove", place).out == f"{place}: no longer allowed\n"
    assert in_process("sync", "allow", "--json").data["allowed"] == []


def test_a_place_with_a_password_is_a_usage_error(in_process: Run) -> None:
    """Who pastes a URI is told the form, and the password is repeated nowhere."""
    done = in_process("sync", "allow", f"mongodb://me:{SECRET}@db.example.org/logs")
    assert (done.code, SECRET in done.err + done.out) == (2, False)
    assert in_process("sync", "allow", "--remove").code == 2


@pytest.mark.parametrize(
    "text",
    ["no json", "{}", "[" * 9000, '{"allowed": [{"destination": "a b", "how": "x", "at": "x"}]}'],
)
def test_a_damaged_list_allows_nothing(in_process: Run, home: Path, text: str) -> None:
    """It is exit 3 with the file's name, for anyone who needs it."""
    settings = load_settings()
    add_allowed(
        settings, judge_all(load_settings(mongo_uri="mongodb://h/"))[0].destination, "answer"
    )
    allowed_file(settings).write_text(text)
    done = in_process("sync", "allow", "--list")
    assert (done.code, str(home) in done.err, "is damaged" in done.err) == (3, True, True)


def test_a_list_that_others_can_change_allows_nothing(home: Path) -> None:
    """A link, a named pipe, or a file that every user may write is refused by name."""
    settings = load_settings(sqlite_path=home / "buffer.db")
    path = allowed_file(settings)
    os.environ["MONGO_URI"] = "mongodb://db.example.org/"
    try:
        for make in (
            lambda: path.symlink_to("/dev/zero"),
            lambda: os.mkfifo(path),
            path.mkdir,
            lambda: (path.write_text('{"allowed": []}'), path.chmod(0o666)),
        ):
            make()
            with pytest.raises(SettingsError, match=r"allowed\.json"):
                require_allowed(load_settings(sqlite_path=home / "buffer.db"), "mongo_uri")
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    finally:
        del os.environ["MONGO_URI"]


def test_a_catalog_that_is_not_allowed_is_no_damage(home: Path) -> None:
    """A reader of the lake gets the place, and no hint about damaged files."""
    os.environ["ICEBERG_CATALOG_URI"] = "postgresql://db.example.org/lake"
    try:
        with pytest.raises(SettingsError, match=r"db\.example\.org"):
            open_lake(load_settings(annals_home=home))
    finally:
        del os.environ["ICEBERG_CATALOG_URI"]


def test_a_server_that_took_records_stays_allowed(annals: Run, home: Path, mongo: Mongo) -> None:
    """What a flag named once, and what took records, may be named by the environment later."""
    uri = mongo.uri.replace("127.0.0.1", ELSEWHERE)
    place = {"CLAUDE_DIR": _transcript(home), "MONGO_DB": mongo.name}
    assert annals("sync", "once", MONGO_URI=uri, **place).code == 3
    assert mongo.conversations.count_documents({}) == 0
    done = annals("--set", f"MONGO_URI={uri}", "sync", "once", **place)
    assert done.code == 0, done.err
    assert mongo.conversations.count_documents({"recordKind": "entry"}) == 3
    listed = annals("sync", "allow", "--json").data["allowed"]
    assert [one["how"] for one in listed] == ["acknowledged"]
    assert annals("sync", "once", MONGO_URI=uri, **place).code == 0


def test_a_server_of_before_the_list_is_recognized(annals: Run, home: Path, mongo: Mongo) -> None:
    """A buffer that shipped before there was a list: the server that has its records is allowed.

    Another database has no agent of ours and is refused; so is everything once there is a list.
    """
    uri = mongo.uri.replace("127.0.0.1", ELSEWHERE)
    place = {"CLAUDE_DIR": _transcript(home), "MONGO_DB": mongo.name}
    assert annals("--set", f"MONGO_URI={uri}", "sync", "once", **place).code == 0
    (home / ".claude-sync" / "allowed.json").unlink()
    other = {**place, "MONGO_DB": f"{mongo.name}-other"}
    assert annals("sync", "once", MONGO_URI=uri, **other).code == 3
    assert annals("sync", "once", MONGO_URI=uri, **place).code == 0
    listed = annals("sync", "allow", "--json").data["allowed"]
    assert [one["how"] for one in listed] == ["acknowledged"]
    annals("sync", "allow", "--remove", listed[0]["destination"])
    assert annals("sync", "once", MONGO_URI=uri, **place).code == 3


def test_the_settings_file_allows_what_it_names(
    settings_text: WriteSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server of the file is allowed, also where a child process gets it by its environment."""
    settings_text("MONGO_URI=mongodb://a.example.org,b.example.org/\n")
    assert {one.allowed_by for one in judge_all(load_settings())} == {"settings file"}
    monkeypatch.setenv("MONGO_URI", "mongodb://a.example.org,b.example.org/")
    assert {one.allowed_by for one in judge_all(load_settings())} == {"settings file"}
    monkeypatch.setenv("MONGO_URI", "mongodb://a.example.org,c.example.org/")
    assert [one.allowed_by for one in judge_all(load_settings())] == ["settings file", None]
    monkeypatch.setenv("ALLOW_DESTINATIONS", "x, c.example.org:27017/claude_logs")
    assert judge_all(load_settings())[1].allowed_by == "ALLOW_DESTINATIONS"


def test_what_a_flag_names_is_allowed_in_children(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that gets the settings by its environment may send where their flag said."""
    ours = load_settings(
        mongo_uri="mongodb://u:p@a.example.org/", allow_destinations="x.example.org"
    )
    for name, value in as_environment(ours).items():
        monkeypatch.setenv(name, value)
    theirs = load_settings()
    assert theirs.allow_destinations == "x.example.org,a.example.org:27017/claude_logs"
    require_allowed(theirs, "mongo_uri")


def test_the_installed_agent_is_told_what_is_allowed(
    in_process: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`sync install` hands the places on, which were allowed when it was run."""
    in_process("sync", "allow", "db.example.org:27017/claude_logs")
    monkeypatch.setenv("MONGO_URI", "mongodb://db.example.org/")
    from analytics.cli.commands.sync_install import _environment
    from analytics.cli.effective_settings import InForce

    settings = load_settings()
    found = _environment(InForce(settings, settings, sample=False))
    assert found["ALLOW_DESTINATIONS"] == "db.example.org:27017/claude_logs"
    installed = home / ".config" / "annals" / "sync.env"
    installed.parent.mkdir(parents=True)
    in_process("sync", "allow", "--remove", "db.example.org:27017/claude_logs")
    installed.write_text("MONGO_URI=mongodb://db.example.org/\n")
    assert judge_all(load_settings())[0].allowed_by == "settings file"


@pytest.mark.parametrize(("answer", "code"), [("y\n", 4), ("n\n", 3), ("\n", 3)])
def test_on_a_terminal_it_asks(home: Path, answer: str, code: int) -> None:
    """The question names host, database and records; yes is kept, anything else is exit 3."""
    primary, terminal = pty.openpty()
    uri = f"mongodb://{ELSEWHERE}:1/?serverSelectionTimeoutMS=200"
    process = subprocess.Popen(
        [sys.executable, "-m", "analytics.cli", "sync", "once"],
        env=clean_environment(home, CLAUDE_DIR=_transcript(home), MONGO_URI=uri),
        cwd=home,
        stdin=terminal,
        stdout=subprocess.DEVNULL,
        stderr=terminal,
        start_new_session=True,
    )
    os.close(terminal)
    os.write(primary, answer.encode())
    said = b""
    with contextlib.suppress(OSError):  # the end of a terminal is an error of this kind
        while part := os.read(primary, 4096):
            said += part
    assert process.wait(timeout=60) == code, said
    os.close(primary)
    assert b"database claude_logs" in said
    assert f"Send data to {ELSEWHERE}:1/claude_logs from now on? [y/N]".encode() in said
    path = home / ".claude-sync" / "allowed.json"
    kept = json.loads(path.read_text())["allowed"] if path.exists() else []
    assert [one["how"] for one in kept] == (["answer"] if code == 4 else [])


def test_status_and_doctor_say_where_data_goes(
    in_process: Run, home: Path, settings_text: WriteSettings
) -> None:
    """Each place with what allows it, for people and for programs; never a user or a password."""
    settings_text(f"CLAUDE_DIR={_transcript(home)}\n")
    assert "nowhere else" in in_process("status").out
    settings_text(
        f"CLAUDE_DIR={home}/transcripts\n"
        f"MONGO_URI=mongodb://me:{SECRET}@127.0.0.1:1/?timeoutMS=100\n"
        f"NOTIFY_WITH=webhook\nNOTIFY_URL=https://hooks.example.org/{SECRET}\n"
    )
    now = in_process("status", "--json")
    assert [
        (one["setting"], one["destination"], one["allowed_by"]) for one in now.data["destinations"]
    ] == [
        ("MONGO_URI", "127.0.0.1:1/claude_logs", "loopback"),
        ("NOTIFY_URL", "hooks.example.org:443", "settings file"),
    ]
    text = in_process("status").out
    assert "data goes to MongoDB 127.0.0.1:1/claude_logs (this machine)" in text
    assert "notifications hooks.example.org:443 (allowed by settings file)" in text
    found = in_process("doctor", "--json")
    assert [one["verdict"] for one in found.data["findings"] if one["check"] == "destination"] == [
        "ok"
    ] * 2
    assert SECRET not in text + now.out + found.out


def test_the_stack_lists_its_own_services() -> None:
    """docker-compose.yml allows what the programs of the stack take for its services."""
    from operations.stack.places import STACK_PLACES

    text = (ROOT / "docker-compose.yml").read_text()
    assert f"ALLOW_DESTINATIONS: {','.join(STACK_PLACES)},${{ALLOW_DESTINATIONS:-}}\n" in text
