"""What the containers get: the settings that were checked, to the letter, and no others."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import clean_environment
from tests.deploy.stacks import Machine, machine

TOLD = ("prefect-deploy", "prefect-worker", "sync-agent")
ODD = "https://hooks.example.org/T0/pa$word/x$$y/${z/it's/q\"/back\\\\/%20"


@pytest.fixture
def here(tmp_path: Path, home: Path) -> Machine:
    """Return a machine on which nothing stands in the way."""
    return machine(tmp_path, home)


def _inside(here: Machine, service: str = "prefect-worker") -> dict[str, str]:
    done = here.run("up")
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = here.started[service]["environment"]
    return found


@pytest.mark.parametrize("file", [".env", ".env.analytics"])
def test_a_value_reaches_every_container_to_the_letter(here: Machine, file: str) -> None:
    """No sign means anything to compose, and who wrote it quoted it once."""
    here.write(file, f"NOTIFY_WITH=slack\nNOTIFY_URL={ODD}\nMONGO_DB='a$b'\n")
    for name in TOLD:
        assert _inside(here, name)["NOTIFY_URL"] == ODD
    catalog = "https://me:p$w@catalog.example.org"
    here.write(file, f"ICEBERG_CATALOG_TYPE=rest\nICEBERG_CATALOG_URI={catalog}\n")
    assert _inside(here)["ICEBERG_CATALOG_URI"] == catalog


def test_an_odd_value_of_the_environment_reaches_them_too(here: Machine) -> None:
    """A line break, which no file could hold without quotes, is one inside."""
    here.variables["IGNORE_PATTERNS"] = "a$b\n'c' \"d\" \\\\"
    assert _inside(here)["IGNORE_PATTERNS"] == here.variables["IGNORE_PATTERNS"]


def test_the_environment_wins_inside_too(here: Machine) -> None:
    """It wins over .env.analytics, and that over .env, in the container as in the checks."""
    here.write(".env", "BATCH_SIZE=1\nJOURNAL_ROWS=200\nFLOW_RETRIES=1\n")
    here.write(".env.analytics", "BATCH_SIZE=77\nJOURNAL_ROWS=300\n")
    here.variables["BATCH_SIZE"] = "5"
    for name in TOLD:
        inside = _inside(here, name)
        found = [inside[key] for key in ("BATCH_SIZE", "JOURNAL_ROWS", "FLOW_RETRIES")]
        assert found == ["5", "300", "1"]


def test_settings_of_the_files_are_those_of_the_stack(here: Machine) -> None:
    """What .env.analytics says of time zone and host holds inside, unless the environment wins."""
    with (here.folder / ".env.analytics").open("a", encoding="utf-8") as file:
        file.write("TIMEZONE=Asia/Tokyo\nHOST_NAME=tower\n")
    here.variables["TIMEZONE"] = ""
    assert here.run("up").returncode == 0
    for name in ("sync-agent", "prefect-worker"):
        inside = here.started[name]["environment"]
        assert (inside["TIMEZONE"], inside["HOST_NAME"]) == ("Asia/Tokyo", "tower")
    here.variables["TIMEZONE"] = "UTC"
    assert here.run("up").returncode == 0
    assert here.started["prefect-worker"]["environment"]["TIMEZONE"] == "UTC"


def test_what_is_fixed_inside_stays_so(here: Machine) -> None:
    """Paths in .env are for use without Docker; in .env.analytics they are refused."""
    lines = (
        "DUCKDB_PATH=/mine.db\nLOG_FILE=/my.log\nREADS_TRANSCRIPTS=true\nPREFECT_API_URL=http://x\n"
    )
    here.write(".env", lines)
    for name in TOLD:
        inside = _inside(here, name)
        assert inside["DUCKDB_PATH"] == "/duckdb/analytics.db"
        assert inside["PREFECT_API_URL"] == "http://prefect-server:4200/api"
        assert not inside.get("LOG_FILE")
    assert _inside(here)["READS_TRANSCRIPTS"] == "false"
    for line in lines.splitlines():
        here.write(".env.analytics", f"\n{line}\n")
        done = here.run("check")
        assert done.returncode == 3
        assert f".env.analytics line 2: {line.partition('=')[0]} " in done.stderr


def test_what_env_says_for_others_goes_along(here: Machine) -> None:
    """Iceberg's library reads names of its own; a password of the stack is none of them."""
    here.write(".env", "PYICEBERG_CATALOG__DEFAULT__TOKEN=a$b\nGRAFANA_ADMIN_PASSWORD=x\n")
    token = _inside(here)["PYICEBERG_CATALOG__DEFAULT__TOKEN"]
    assert token == "a$b"  # noqa: S105 -- made up
    assert here.started["mongodb"]["environment"]["MONGO_AGENT_PASSWORD"]
    here.write(".env.analytics", "STACK_PROFILES=observability\n")
    assert len(_inside(here, "grafana")["GF_SECURITY_ADMIN_PASSWORD"]) > len("x")


def test_what_they_are_told_is_for_the_owner_alone(here: Machine) -> None:
    """The file has secrets in it: its mode is narrow, and no command line has them."""
    here.write(".env", "AWS_SECRET_ACCESS_KEY=a-secret\n")
    assert _inside(here)["AWS_SECRET_ACCESS_KEY"] == "a-secret"  # noqa: S105 -- made up
    holding = [
        path
        for path in here.folder.iterdir()
        if path.is_file()
        and path.name not in (".env", "model")
        and b"a-secret" in path.read_bytes()
    ]
    assert [path.name for path in holding] == [".stack.json"]
    assert stat.S_IMODE(holding[0].stat().st_mode) == 0o600
    ignored = subprocess.run(
        ["git", "check-ignore", ".stack.json"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        check=False,
    )
    assert ignored.returncode == 0


@pytest.mark.parametrize("scheme", ["http", "HTTPS"])
@pytest.mark.parametrize("profile", ["", "STACK_PROFILES=s3\n"])
def test_the_address_of_a_web_server_is_a_rest_catalog(
    here: Machine, profile: str, scheme: str
) -> None:
    """In a catalog of your own: one line says so."""
    address = f"{scheme}://catalog.example.org"
    here.write(".env.analytics", f"{profile}ICEBERG_CATALOG_URI={address}\n")
    inside = _inside(here)
    assert (inside["ICEBERG_CATALOG_TYPE"], inside["ICEBERG_CATALOG_URI"]) == ("rest", address)


def test_rest_in_the_environment_is_the_catalog_of_the_profile(here: Machine) -> None:
    """It says no other than the profile, so the lake is where the profile puts it."""
    here.variables["ICEBERG_CATALOG_TYPE"] = "rest"
    here.write(".env.analytics", "STACK_PROFILES=s3\n")
    inside = _inside(here)
    assert inside["ICEBERG_CATALOG_TYPE"] == "rest"
    assert inside["ICEBERG_CATALOG_URI"] == "http://rest-catalog:8181"


def test_links_can_be_opened_on_this_machine(here: Machine) -> None:
    """What Prefect itself makes of server's and worker's settings leads to the published port."""
    here.variables["PREFECT_PORT"] = "4321"
    assert here.run("up").returncode == 0
    for name in ("prefect-server", "prefect-worker"):
        inside = {
            key: value
            for key, value in here.started[name]["environment"].items()
            if key in ("PREFECT_UI_URL", "PREFECT_API_URL")
        }
        program = (
            "from prefect.utilities.urls import url_for;"
            "print(url_for('flow-run', obj_id='0d0bd1c2-9c2f-4c1b-8f86-0b2d2ba1d1a2'))"
        )
        environment = clean_environment(here.home, **inside, PREFECT_HOME=str(here.home / "p"))
        made = subprocess.run(
            [sys.executable, "-c", program],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
        assert made.stdout.startswith("http://127.0.0.1:4321/runs/flow-run/")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("MONGO_URI=http://x:secret-word@y\n", "MONGO_URI (.env.analytics line 2)"),
        ("MONGO_URI=mongodb://h/?tsl=true\n", "MONGO_URI (.env.analytics line 2)"),
        ("NOTIFY_WITH=slack\n", "NOTIFY_WITH (.env.analytics line 2)"),
        ("ICEBERG_CATALOG_TYPE=rest\n", "ICEBERG_CATALOG_TYPE (.env.analytics line 2)"),
        ("WORKER_MEMORY=1m\n", "WORKER_MEMORY (.env.analytics line 2)"),
        ("WORKER_MEMORY=1023m\n", "WORKER_MEMORY (.env.analytics line 2)"),
        ("PRICES_CSV=/not/there.csv\n", "PRICES_CSV (.env.analytics line 2)"),
        ("PIPELINE_TRIGGER=local\n", "PIPELINE_TRIGGER (.env.analytics line 2)"),
        ("LOG_FILE_COUNT=9\n", ".env.analytics line 2: LOG_FILE_COUNT means nothing"),
        ("HEALTH_PORT=9\n", ".env.analytics line 2: HEALTH_PORT is 9090 in every container"),
    ],
)
def test_what_cannot_work_is_refused_before_the_start(here: Machine, text: str, says: str) -> None:
    """File, line and name, exit 3, and no password made; the check and the start say the same."""
    here.write(".env.analytics", f"\n{text}")
    for command in ("check", "up"):
        done = here.run(command)
        assert done.returncode == 3, done.stderr
        assert says in done.stderr
        assert "hint: " in done.stderr
        assert "secret-word" not in done.stderr
    assert here.calls == []
    assert not (here.folder / ".env.secrets").exists()


def test_a_misspelt_name_is_told_at_every_command(here: Machine) -> None:
    """.env is shared with other programs, so it is a warning and no more."""
    here.write(".env", "\nPREFECT_PROT=1\nDATABASE_URL=x\n")
    here.variables.pop("PREFECT_PORT")
    assert here.run("up").returncode in (0, 4)  # 4: the default port is another program's
    for command in ("check", "status", "down"):
        said = here.run(command).stderr
        assert said.count("warning: .env line 2: there is no setting PREFECT_PROT") == 1
        assert "did you mean PREFECT_PORT?" in said
        assert "DATABASE_URL" not in said


def test_the_agent_asks_for_runs_unless_told_otherwise(here: Machine) -> None:
    """PIPELINE_TRIGGER=off leaves the runs to their schedule."""
    assert _inside(here, "sync-agent")["PIPELINE_TRIGGER"] == "prefect"
    here.write(".env.analytics", "PIPELINE_TRIGGER=off\n")
    assert _inside(here, "sync-agent")["PIPELINE_TRIGGER"] == "off"


def test_your_own_prices_are_where_the_worker_looks(here: Machine) -> None:
    """The file is mounted, read-only, under the name that the worker is told."""
    prices = here.home / "my $prices.csv"
    prices.write_text("model\n")
    here.variables["PRICES_CSV"] = str(prices)
    inside = _inside(here)
    (mount,) = (
        one for one in here.started["prefect-worker"]["volumes"] if one["source"] == str(prices)
    )
    assert mount["target"] == inside["PRICES_CSV"]
    assert mount["read_only"] is True
    assert not mount["bind"].get("create_host_path")


def test_links_to_the_docs_follow_their_port(here: Machine) -> None:
    """DBT_DOCS_PORT moves them, DBT_DOCS_URL replaces them."""
    port = here.variables["DBT_DOCS_PORT"]
    assert _inside(here)["DBT_DOCS_URL"] == f"http://127.0.0.1:{port}"
    here.write(".env.analytics", "DBT_DOCS_URL=https://docs.example.org\n")
    assert _inside(here)["DBT_DOCS_URL"] == "https://docs.example.org"


@pytest.mark.parametrize(
    ("name", "given", "inside"),
    [
        ("S3_ENDPOINT", "http://localhost:9000", "http://host.docker.internal:9000"),
        (
            "ICEBERG_CATALOG_URI",
            "http://me:localhost@127.0.0.1:8181/x",
            "http://me:localhost@host.docker.internal:8181/x",
        ),
        (
            "NOTIFY_URL",
            "http://[::1]:1/?u=http://localhost",
            "http://host.docker.internal:1/?u=http://localhost",
        ),
    ],
)
def test_an_address_of_this_machine_is_renamed_and_told(
    here: Machine, name: str, given: str, inside: str
) -> None:
    """Inside, localhost is the container; anyone who calls the address can reach the machine."""
    here.variables[name] = given
    assert _inside(here)[name] == inside
    done = here.run("up")
    assert f"note: {name} names this machine" in done.stderr
    assert given not in done.stderr
    for service in ("prefect-server", "prefect-worker", "sync-agent"):
        assert any("host.docker.internal" in one for one in here.started[service]["extra_hosts"])


def test_the_worker_is_asked_for_by_its_own_name(here: Machine) -> None:
    """The health check names the worker that this container runs, not any of the pool."""
    assert here.run("up").returncode == 0
    worker = here.started["prefect-worker"]
    assert worker["command"][-2] == "worker"
    assert worker["healthcheck"]["test"][-2:] == ["--worker", worker["command"][-1]]
