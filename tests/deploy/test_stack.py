"""``make up`` and its like, on a machine whose Docker has compose's own parser and no engine."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import socket
import stat
import subprocess
from pathlib import Path

import pytest

from annals.settings.stack import PROFILES, read_stack
from operations.doctor.findings import Verdict
from operations.stack.inside import FILE as LAYER_FILE
from operations.stack.inside import seen_from_inside
from operations.stack.passwords import NAMES, ensure_passwords
from operations.stack.plan import make_plan
from operations.stack.preflight import ENOUGH_DISK, LEAST_DISK, Engine, examine
from tests.deploy.stacks import Machine, machine
from tests.servers.building import built

GIB = 1024**3
SUMS = f"METABASE_SHA256={'a' * 64}\nMETABASE_DRIVER_SHA256={'b' * 64}\n"


@pytest.fixture
def here(tmp_path: Path, home: Path) -> Machine:
    """Return a machine on which nothing stands in the way."""
    return machine(tmp_path, home)


def _passwords(here: Machine) -> dict[str, str]:
    lines = (here.folder / ".env.secrets").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if not line.startswith("#"))


def test_the_first_up_makes_passwords_and_waits_for_health(here: Machine) -> None:
    """A private file of passwords, all different, and one call that waits; then the addresses."""
    done = here.run("up")
    assert done.returncode == 0, done.stderr
    path = here.folder / ".env.secrets"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    made = _passwords(here)
    assert set(made) == set(NAMES)
    assert len(set(made.values())) == len(NAMES)
    assert all(len(value) >= 40 for value in made.values())
    (call,) = here.calls
    assert " --profile mongodb up --detach --build --wait " in call
    assert f"http://127.0.0.1:{here.variables['PREFECT_PORT']}" in done.stdout
    assert not any(value in done.stdout + done.stderr for value in made.values())


def test_up_twice_changes_nothing(here: Machine) -> None:
    """The passwords stay, and ports that the stack has itself are not in its way."""
    assert here.run("up").returncode == 0
    before = _passwords(here)
    (here.folder / "running").write_text("prefect-server\nsync-agent\n")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", int(here.variables["PREFECT_PORT"])))
        taken.listen()
        done = here.run("up")
    assert done.returncode == 0, done.stderr
    assert _passwords(here) == before
    assert len(here.calls) == 2


def test_a_password_file_from_before_gets_what_it_lacks(here: Machine) -> None:
    """An upgrade adds what is new and keeps what is there; too wide a mode is narrowed."""
    here.write(".env.secrets", "MONGO_ROOT_PASSWORD=a-good-old-password\n")
    assert here.run("up").returncode == 0
    made = _passwords(here)
    assert made["MONGO_ROOT_PASSWORD"] == "a-good-old-password"  # noqa: S105 -- made up
    assert set(made) == set(NAMES)
    assert stat.S_IMODE((here.folder / ".env.secrets").stat().st_mode) == 0o600


def test_a_short_password_is_named(here: Machine) -> None:
    """A password that is none is refused, with its line."""
    here.write(".env.secrets", "\nGRAFANA_ADMIN_PASSWORD=admin\n")
    done = here.run("up")
    assert done.returncode == 3
    assert ".env.secrets line 2: GRAFANA_ADMIN_PASSWORD" in done.stderr
    assert here.calls == []


def test_lost_passwords_are_not_made_again(here: Machine) -> None:
    """Where MongoDB's volume is there and its passwords are not, nothing is started."""
    (here.folder / "volume-is-there").touch()
    done = here.run("up")
    assert done.returncode == 3
    assert "Restore .env.secrets from your backup" in done.stderr
    assert not (here.folder / ".env.secrets").exists()


@pytest.mark.parametrize("command", ["up", "down", "logs", "restart", "shell"])
def test_without_docker_it_says_so_and_offers_the_same_without(here: Machine, command: str) -> None:
    """No Docker at all: exit 4, the words, and `make up-local`."""
    path = here.folder / "empty"
    path.mkdir()
    done = here.run_with(str(path), command)
    assert done.returncode == 4
    assert "Docker is not installed here" in done.stderr
    assert "make up-local" in done.stderr
    assert not (here.folder / ".env.secrets").exists()


def test_an_engine_that_does_not_answer_is_said_in_its_words(here: Machine) -> None:
    """Docker is there and its engine is not: what it says, and what to do."""
    docker = here.programs / "docker"
    docker.write_text(
        "#!/bin/sh\n"
        '[ "$1" = compose ] && exit 0\n'
        "echo 'Cannot connect to the Docker daemon at unix:///var/run/docker.sock.' >&2\nexit 1\n"
    )
    done = here.run("up")
    assert done.returncode == 4
    assert "does not answer: Cannot connect to the Docker daemon" in done.stderr
    assert "make up-local" in done.stderr


@pytest.mark.parametrize(("version", "code"), [("2.23.3", 4), ("v2.24.0", 0), ("5.0.1-desktop", 0)])
def test_an_old_compose_is_refused(here: Machine, version: str, code: int) -> None:
    """What does not know the file's form is named with its version."""
    (here.folder / "version").write_text(version)
    done = here.run("up")
    assert done.returncode == code
    assert (version in done.stderr) is (code == 4)


def test_files_that_containers_cannot_read_are_named(here: Machine) -> None:
    """A checkout for its owner alone is said, with the command that opens what is mounted."""
    (here.folder / "deploy").unlink()
    (here.folder / "deploy").mkdir()
    (here.folder / "deploy" / "closed.yml").touch(mode=0o600)
    done = here.run("up")
    assert done.returncode == 4
    assert "deploy/closed.yml can be read by its owner alone" in done.stderr
    assert "chmod -R go+rX deploy" in done.stderr


@pytest.mark.skipif(shutil.which("docker") is None, reason="no docker command here")
def test_the_docker_of_this_machine_is_understood(here: Machine) -> None:
    """Whatever Docker is here: it is used, or a hint says what to do."""
    done = here.run_with(os.environ["PATH"], "check")
    assert done.returncode in (0, 3, 4)  # 3: a stack of this machine, without its passwords here
    assert done.returncode != 4 or "hint: " in done.stderr


def test_a_port_that_is_taken_is_named_with_its_setting(here: Machine) -> None:
    """The port, the service, and the setting that moves it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        here.write(".env.analytics", f"DBT_DOCS_PORT={port}\n")
        del here.variables["DBT_DOCS_PORT"]
        done = here.run("up")
    assert done.returncode == 4
    assert f"port {port} of dbt-docs cannot be had: Address already in use" in done.stderr
    assert "set DBT_DOCS_PORT in .env.analytics to another port" in done.stderr
    assert here.calls == []


def test_one_port_for_two_parts_is_refused(here: Machine) -> None:
    """Two settings with the same port are named before Docker fails on the second."""
    here.variables["AGENT_PORT"] = here.variables["PREFECT_PORT"]
    done = here.run("up")
    assert done.returncode == 4
    assert "AGENT_PORT" in done.stderr
    assert "PREFECT_PORT" in done.stderr


@pytest.mark.parametrize(
    ("memory", "code", "says"),
    [
        (1 * GIB, 4, "error: Docker may use 1.0 GiB"),
        (4 * GIB, 0, "warning: Docker may use 4.0 GiB"),
    ],
)
def test_too_little_memory_is_said(
    tmp_path: Path, home: Path, memory: int, code: int, says: str
) -> None:
    """Too little stops it, a little little is a warning."""
    here = machine(tmp_path, home, memory=memory)
    done = here.run("up")
    assert done.returncode == code
    assert says in done.stderr


def test_a_file_in_another_encoding_is_named(here: Machine) -> None:
    """A .env that is not UTF-8 is exit 3 with its name and the line."""
    (here.folder / ".env").write_bytes(b"TIMEZONE=UTC\nHOST_NAME=caf\xe9\n")
    done = here.run("up")
    assert done.returncode == 3
    assert ".env line 2 is not UTF-8 text" in done.stderr


def test_too_little_disk_is_said(here: Machine) -> None:
    """The check of the disk stops below the least and warns below enough."""
    plan = make_plan(here.folder, read_stack(here.folder, here.variables), {})
    for free, verdict in (
        (LEAST_DISK - 1, Verdict.FAIL),
        (ENOUGH_DISK - 1, Verdict.WARN),
        (ENOUGH_DISK, Verdict.OK),
    ):
        found = examine(plan, Engine(16 * GIB, free, "/var/lib/docker"), here.folder)
        (one,) = (each for each in found if each.check == "disk")
        assert one.verdict is verdict


@pytest.mark.parametrize(
    ("name", "text", "place"),
    [
        (
            ".env.analytics",
            "\n# a port\nPREFECT_PORT=many\n",
            "PREFECT_PORT (.env.analytics line 3)",
        ),
        (".env.analytics", "BATCH_SIZE=0\n", "BATCH_SIZE (.env.analytics line 1)"),
        (".env", "TIMEZONE=UTC\nBATCH_SIZE=none\n", "BATCH_SIZE (.env line 2)"),
        (".env.analytics", "METABSE_PORT=1\n", "line 1: there is no setting METABSE_PORT; did you"),
        (".env.analytics", "LOG_LEVEL=info\nPREFECT PORT 4200\n", ".env.analytics line 2"),
        (".env.analytics", "STACK_PROFILES=s3,teams\n", "STACK_PROFILES (.env.analytics line 1)"),
        (".env.analytics", "METABASE_SHA256=latest\n", "METABASE_SHA256 (.env.analytics line 1)"),
    ],
)
def test_a_wrong_file_of_settings_names_line_and_key(
    here: Machine, name: str, text: str, place: str
) -> None:
    """File, line and name of what is wrong; nothing is started."""
    here.write(name, text)
    here.variables.pop("PREFECT_PORT")
    here.variables["TIMEZONE"] = ""
    done = here.run("up")
    assert done.returncode == 3, done.stderr
    assert place in done.stderr
    assert here.calls == []


def test_a_mongodb_that_is_there_is_used_and_none_is_started(here: Machine) -> None:
    """MONGO_URI takes the bundled server out; a name of this machine is explained, not refused."""
    here.write(".env", "MONGO_URI=mongodb://me:pw@localhost:27017,other:1/?tls=true\n")
    done = here.run("up")
    assert done.returncode == 0, done.stderr
    assert "--profile mongodb" not in here.calls[0]
    assert "MONGO_URI names this machine; inside a container" in done.stderr
    assert "pw" not in done.stderr.replace("pw@", "")
    given = (here.folder / "environment").read_text()
    assert "MONGO_URI=mongodb://me:pw@host.docker.internal:27017,other:1/?tls=true" in given


@pytest.mark.parametrize(
    ("text", "is_there"),
    [
        ("STACK_PROFILES=s3\n", True),
        ("STACK_PROFILES=s3\nICEBERG_CATALOG_TYPE=sql\n", False),
        ("STACK_PROFILES=s3\nICEBERG_CATALOG_TYPE=rest\n", True),
        ("STACK_PROFILES=s3\nICEBERG_CATALOG_URI=http://catalog.example.org\n", False),
        ("", False),
    ],
)
def test_the_lake_is_in_the_object_store_unless_settings_say_otherwise(
    here: Machine, text: str, is_there: bool
) -> None:
    """With the profile the pipeline uses it; a catalog that is named wins."""
    here.write(".env.analytics", text)
    plan = make_plan(here.folder, read_stack(here.folder, {}), {})
    assert (str(here.folder / "deploy" / "s3.yml") in plan.command) is is_there


@pytest.mark.parametrize(
    ("uri", "inside"),
    [
        ("mongodb://localhost", "mongodb://host.docker.internal"),
        ("mongodb://127.0.0.1:27017/db", "mongodb://host.docker.internal:27017/db"),
        ("mongodb://u:localhost@[::1]:1/", "mongodb://u:localhost@host.docker.internal:1/"),
        ("mongodb://localhost.example.org/", "mongodb://localhost.example.org/"),
        ("mongodb+srv://cluster.example.org/", "mongodb+srv://cluster.example.org/"),
    ],
)
def test_this_machine_has_another_name_inside(uri: str, inside: str) -> None:
    """Only hosts that are this machine are renamed; users, options and other hosts stay."""
    assert seen_from_inside(uri) == inside


@pytest.mark.parametrize(
    "profiles",
    [",".join(some) for size in range(4) for some in itertools.combinations(PROFILES, size)],
    ids=lambda names: names or "none",
)
def test_every_combination_of_parts_parses(here: Machine, profiles: str) -> None:
    """Compose's own parser takes every combination, with and without MongoDB and Metabase."""
    ensure_passwords(here.folder / ".env.secrets")
    for text in ("", f"{SUMS}MONGO_PUBLISH_PORT=27018\n", "MONGO_URI=mongodb://db.example.org/\n"):
        here.write(".env.analytics", f"STACK_PROFILES={profiles}\n{text}")
        plan = make_plan(here.folder, read_stack(here.folder, {}), os.environ)
        here.write(LAYER_FILE, plan.layer)
        parsed = subprocess.run(
            [built("compose"), *plan.command[2:], "config", "--services"],
            env=dict(plan.environment),
            capture_output=True,
            text=True,
            check=False,
        )
        assert parsed.returncode == 0, parsed.stderr
        assert set(parsed.stdout.split()) == {*plan.services, "prefect-deploy"}


def test_what_is_published_can_be_read_where_it_stands(here: Machine) -> None:
    """Containers run as the owner of the transcripts, and never as root."""
    assert here.run("up").returncode == 0
    lines = dict(
        line.split("=", 1) for line in (here.folder / "environment").read_text().splitlines()
    )
    assert lines["CLAUDE_DIR"] == str(here.home / ".claude" / "projects")
    assert int(lines["ANNALS_UID"]) == (os.getuid() or 10_001)


def test_transcripts_that_are_not_there_are_named(here: Machine) -> None:
    """A folder that is missing stops it: Docker would fail with words of its own."""
    here.variables["CLAUDE_DIR"] = str(here.home / "nowhere")
    done = here.run("up")
    assert done.returncode == 4
    assert f"there is no folder {here.home / 'nowhere'}" in done.stderr


def test_metabase_is_left_out_until_its_sums_are_there(here: Machine) -> None:
    """Without sums a note says so; with them it is part of the stack."""
    assert "Metabase is left out" in here.run("up").stderr
    here.write(".env.analytics", SUMS)
    done = here.run("up")
    assert "Metabase" not in done.stderr
    assert "--profile metabase" in here.calls[-1]
    assert f"http://127.0.0.1:{here.variables['METABASE_PORT']}" in done.stdout


def test_what_docker_refuses_is_not_a_success(here: Machine) -> None:
    """The exit code of Docker is that of the command, with the way to find out more."""
    (here.folder / "code").write_text("17")
    done = here.run("up")
    assert done.returncode == 17
    assert "make logs SERVICE=name" in done.stderr


def test_status_shows_health_runs_and_disk(here: Machine) -> None:
    """Each service with its health, the last run, the disk; exit 4 where one is unwell."""
    assert here.run("up").returncode == 0
    names = ["sync-agent", "prefect-server", "prefect-worker", "dbt-docs", "mongodb"]
    rows = [{"Service": name, "State": "running", "Health": "healthy"} for name in names]
    listed = here.folder / "ps"
    listed.write_text("\n".join(map(json.dumps, rows)))
    done = here.run("status")
    assert done.returncode == 0, done.stderr
    assert "prefect-worker    running   healthy" in done.stdout
    assert "last run    pipeline, ok" in done.stdout
    assert "GiB free" in done.stdout
    rows[0]["Health"] = "unhealthy"
    listed.write_text(json.dumps(rows[:4]))  # as older versions of compose write it
    done = here.run("status")
    assert done.returncode == 4
    assert "sync-agent        running   unhealthy" in done.stdout
    assert "mongodb           missing" in done.stdout


def test_logs_follow_the_worker_unless_another_is_named(here: Machine) -> None:
    """`make logs` is the worker's; down takes every part and no volume."""
    assert here.run("up").returncode == 0
    for arguments in (["logs"], ["logs", "metabase"], ["restart", "grafana"], ["shell"], ["down"]):
        assert here.run(*arguments).returncode == 0
    ends = [call.partition("--profile mongodb ")[2] for call in here.calls[1:]]
    assert ends == [
        "logs --follow --tail=200 prefect-worker",
        "logs --follow --tail=200 metabase",
        "restart grafana",
        "exec prefect-worker /bin/sh",
        "--profile * down --remove-orphans",
    ]


def test_a_laptop_without_a_stack_has_a_status_too(here: Machine) -> None:
    """Without passwords there was no stack here: the machine's own status is shown."""
    done = here.run("status")
    assert done.returncode == 0, done.stderr
    assert "no stack was started here" in done.stderr
    assert "last run    none yet" in done.stdout
    assert not (here.folder / ".env.secrets").exists()
