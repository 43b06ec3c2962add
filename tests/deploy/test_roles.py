"""MongoDB's users: each may do what its part of the program does, and nothing else."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from examples.generator import write_sample
from operations.stack.passwords import NAMES
from tests.conftest import ROOT, clean_environment
from tests.servers.running import Mongo

FOLDER = ROOT / "deploy" / "mongodb"
ROLES = json.loads((FOLDER / "roles.json").read_text(encoding="utf-8"))
ACTIONS = {
    "find": "find",
    "aggregate": "find",
    "insert": "insert",
    "update": "update",
    "delete": "remove",
    "createIndexes": "createIndex",
    "listIndexes": "listIndexes",
}
FREE = {"hello", "ismaster", "ping", "endSessions", "buildInfo", "getMore", "killCursors"}
"""Commands that need no right of their own."""

LISTENING = """
import json, sys
from pymongo import monitoring

class Heard(monitoring.CommandListener):
    def started(self, event):
        named = event.command.get(event.command_name)
        print("HEARD", json.dumps([event.command_name, named if isinstance(named, str) else ""]))
    def succeeded(self, event): pass
    def failed(self, event): pass

monitoring.register(Heard())
from annals.settings import load_settings
from annals.records import document as documents
from flows import stages
"""
SHIP = (
    "documents.STORED_APART_BYTES = 4096\n"  # so that GridFS takes part
    "documents.COMPRESSED_BYTES = 1024\n"
    "for name in ('first.db', 'second.db'):\n"  # the second agent claims what the first one shipped
    "    settings = load_settings(sqlite_path=name)\n"
    "    stages.sync(settings); stages.ship(settings)\n"
)
EXTRACT = "stages.extract(load_settings()); stages.extract(load_settings(), full_backfill=True)\n"


def _used(code: str, home: Path, mongo: Mongo) -> dict[str, set[str]]:
    """Return the actions by collection that the code asks of the server."""
    done = subprocess.run(
        [sys.executable, "-c", LISTENING + code],
        env=clean_environment(
            home, CLAUDE_DIR=str(home / "transcripts"), MONGO_URI=mongo.uri, MONGO_DB=mongo.name
        ),
        cwd=home,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    heard = [line.split(" ", 1)[1] for line in done.stdout.splitlines() if line.startswith("HEARD")]
    used = defaultdict(set)
    for command, collection in map(json.loads, heard):
        if command not in FREE:
            used[collection].add(ACTIONS[command])
    return used


@pytest.mark.slow
def test_each_user_may_do_what_it_does(home: Path, mongo: Mongo) -> None:
    """What agent and extractor ask of a server is within their role, and little is left over."""
    write_sample(home / "transcripts")
    for role, code in (("annalsAgent", SHIP), ("annalsExtractor", EXTRACT)):
        used = _used(code, home, mongo)
        allowed = {name: set(actions) for name, actions in ROLES[role]["privileges"].items()}
        assert all(actions <= allowed[name] for name, actions in used.items()), (role, used)
        left = {(name, one) for name in allowed for one in allowed[name] - used.get(name, set())}
        # Where another agent is quicker by a moment, the file that no document refers to goes.
        assert left <= {("raw.files", "remove"), ("raw.chunks", "remove")}, (role, left)


def test_the_extractor_may_write_nothing() -> None:
    """It has the right to find, and no other."""
    granted = ROLES["annalsExtractor"]["privileges"].values()
    assert {action for actions in granted for action in actions} == {"find"}
    assert not {"remove", "dropCollection"} & set(
        ROLES["annalsAgent"]["privileges"]["conversations"]
    )


@pytest.mark.skipif(shutil.which("node") is None, reason="no JavaScript here")
def test_users_are_made_with_their_roles_and_passwords(tmp_path: Path) -> None:
    """The script asks MongoDB's shell for two roles and two users; without a password for none."""
    script = (FOLDER / "users.js").read_text(encoding="utf-8")
    script = script.replace("/docker-entrypoint-initdb.d/", f"{FOLDER}/")
    shell = (
        "const db = Object.fromEntries(['createRole', 'createUser'].map((name) => "
        "[name, (document) => console.log(JSON.stringify([name, document]))]));\n"
    )
    (tmp_path / "users.cjs").write_text(shell + script)
    passwords = {one["password"]: f"secret of {name}" for name, one in ROLES.items()}
    assert set(passwords) <= set(NAMES)
    asked = _node(tmp_path, MONGO_INITDB_DATABASE="claude_logs", **passwords)
    assert [name for name, _ in asked] == ["createRole", "createUser"] * 2
    for role, (_, made), (_, user) in zip(ROLES, asked[::2], asked[1::2], strict=True):
        assert user["roles"] == [{"role": role, "db": "claude_logs"}]
        assert user["pwd"] == f"secret of {role}"
        assert made["role"] == role
        assert made["roles"] == []
        assert {one["resource"]["db"] for one in made["privileges"]} == {"claude_logs"}
        given = {one["resource"]["collection"]: one["actions"] for one in made["privileges"]}
        assert given == ROLES[role]["privileges"]
    with pytest.raises(subprocess.CalledProcessError):
        _node(tmp_path, MONGO_INITDB_DATABASE="claude_logs")


def _node(folder: Path, **variables: str) -> list[tuple[str, Any]]:
    done = subprocess.run(
        ["node", folder / "users.cjs"],
        env={"PATH": str(Path(shutil.which("node") or "").parent), **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]
