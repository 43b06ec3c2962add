"""What every service of the stack keeps to, asserted over what compose's own parser makes of it."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from annals.settings.stack import INSIDE
from operations.stack.passwords import NAMES
from tests.conftest import ROOT
from tests.deploy.stacks import PASSWORDS, model, parse

Services = dict[str, dict[str, Any]]
ENDS = "prefect-deploy"
PUBLISHED = {
    "sync-agent": "9090",
    "prefect-server": "4200",
    "metabase": "3001",
    "dbt-docs": "8686",
    "grafana": "3002",
    "object-store": "8333",
}


@pytest.fixture(scope="module")
def home_of_stack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a home for the parser."""
    return tmp_path_factory.mktemp("stack")


@pytest.fixture(scope="module")
def stack(home_of_stack: Path) -> Any:
    """Return the parsed stack."""
    return model(home_of_stack)


@pytest.fixture(scope="module")
def services(stack: Any) -> Services:
    """Return every service of every profile."""
    found: Services = stack["services"]
    return found


def test_every_part_that_was_promised_is_there(services: Services) -> None:
    """The services by profile, no more and no fewer."""
    by_profile = defaultdict(set)
    for name, service in services.items():
        by_profile[",".join(service.get("profiles", []))].add(name)
    assert by_profile == {
        "": {"prefect-server", "prefect-deploy", "prefect-worker", "sync-agent", "dbt-docs"},
        "mongodb": {"mongodb"},
        "metabase": {"metabase"},
        "team": {"prefect-database"},
        "s3": {"object-store", "rest-catalog"},
        "observability": {"prometheus", "grafana", "pipeline-metrics"},
    }


def test_no_service_can_do_more_than_it_needs(services: Services) -> None:
    """Read-only root, no capability, no new privilege, a user that is not root, no host's part."""
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert re.fullmatch(r"[1-9]\d*:\d+", service["user"]), name
        refused = {"privileged", "cap_add", "devices", "pid", "ipc", "network_mode", "userns_mode"}
        assert refused.isdisjoint(service), name


def test_every_service_is_bounded(services: Services) -> None:
    """Processors, memory, processes and logs have a limit."""
    for name, service in services.items():
        limits = service["deploy"]["resources"]["limits"]
        assert 0 < float(limits["cpus"]) <= 2, name
        assert 0 < int(limits["memory"]) <= 3 * 1024**3, name
        assert 0 < limits["pids"] <= 512, name
        assert service["logging"]["driver"] == "json-file", name
        assert set(service["logging"]["options"]) == {"max-size", "max-file"}, name
        for mount in service["tmpfs"]:
            assert "size=" in mount, name


def test_every_service_is_checked_and_waited_for(services: Services) -> None:
    """Each has a health check of its own, and what depends on one waits until it is healthy."""
    for name, service in services.items():
        check = service["healthcheck"]
        assert check.get("disable") or check["test"][0] == "CMD", name
        assert bool(check.get("disable")) is (name == ENDS), name
        for needed, how in service.get("depends_on", {}).items():
            ends = needed == ENDS
            wanted = "service_completed_successfully" if ends else "service_healthy"
            assert how["condition"] == wanted, name
            assert how["required"] is (needed != "mongodb"), name
        assert service["restart"] == ("on-failure:5" if name == ENDS else "unless-stopped")


def test_a_health_check_over_http_looks_at_the_answer(services: Services) -> None:
    """A status alone does not show that the service, and not another program, answers."""
    for name, service in services.items():
        words = service["healthcheck"].get("test", [])
        text = " ".join(words)
        if "http://" in text and name != "object-store":  # which answers without a body
            looks = "--says" in words or "--worker-of" in words or "| grep -q " in text
            assert looks, name
            assert "/dev/null" not in text, name


def test_ports_are_published_on_the_loopback_address_alone(services: Services) -> None:
    """Each port is the documented one on 127.0.0.1; MongoDB and PostgreSQL have none."""
    found = {}
    for name, service in services.items():
        for port in service.get("ports", []):
            assert port["host_ip"] == "127.0.0.1", name
            found[name] = port["published"]
    assert found == PUBLISHED


def _protections() -> dict[str, tuple[str, set[str]]]:
    """Return what SECURITY.md says of each service: its port, and what protects it."""
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+|none) \| ([a-z-]+) \| ([a-z, ]+) \|$", text, re.MULTILINE)
    return {name: (port, set(how.split(", "))) for port, name, how in rows}


def test_every_port_has_a_login_or_the_guard_or_is_not_published(services: Services) -> None:
    """SECURITY.md names each service that listens, and says of it what the file does."""
    said = _protections()
    listening = {name for name, one in services.items() if name not in ("prefect-worker", ENDS)}
    assert set(said) == listening
    for name, (port, how) in said.items():
        assert how, name
        ports = [one["published"] for one in services[name].get("ports", [])]
        if ports:
            assert [port] == ports, name
            assert how & {"login", "guard"}, name
        assert ("not published" in how) is (not ports and name != "mongodb"), name
        if "guard" in how:
            assert services[name]["command"][:2] == ["python", "-m"], name


def test_who_asks_prefect_has_its_login(services: Services) -> None:
    """Server, deploy, worker and agent have the same login, and Prometheus its password."""
    password = PASSWORDS["PREFECT_PASSWORD"]
    for name in ("prefect-server", ENDS, "prefect-worker", "sync-agent"):
        assert services[name]["environment"]["PREFECT_LOGIN"] == f"annals:{password}"
    assert services["prefect-server"]["command"][1:4] == ["-m", "flows.prefect", "server"]
    assert services["prometheus"]["environment"]["PREFECT_PASSWORD"] == password
    scraped = (ROOT / "deploy/observability/prometheus.yml").read_text(encoding="utf-8")
    place = "/tmp/prefect-password"  # noqa: S108 -- on the container's own tmpfs
    assert f"basic_auth: {{username: annals, password_file: {place}}}" in scraped
    assert place in (ROOT / "deploy/observability/start.sh").read_text(encoding="utf-8")


def test_mongodb_has_a_port_on_request(home_of_stack: Path) -> None:
    """The layer for MONGO_PUBLISH_PORT publishes it, and on 127.0.0.1."""
    files = ("docker-compose.yml", "deploy/mongo-port.yml")
    (port,) = model(home_of_stack, files, MONGO_PUBLISH_PORT="27018")["services"]["mongodb"][
        "ports"
    ]
    assert (port["host_ip"], port["published"], port["target"]) == ("127.0.0.1", "27018", 27017)


def test_images_are_pinned(services: Services) -> None:
    """Each image has an exact version; one without a digest is in docs/unverified.md."""
    unverified = (ROOT / "docs" / "unverified.md").read_text(encoding="utf-8")
    for name, service in services.items():
        image, _, digest = service["image"].partition("@")
        version = image.rpartition(":")[2]
        assert re.search(r"\d+\.\d+", version), name
        if "build" in service:
            assert image.startswith("annals-"), name
        elif digest:
            assert re.fullmatch(r"sha256:[0-9a-f]{64}", digest), name
        else:
            assert f"docker buildx imagetools inspect {image}" in unverified, image


def test_volumes_are_named_and_lie_where_they_lie_everywhere(stack: Any) -> None:
    """Nothing is written to a folder of the host; a volume has one path in all containers."""
    places = defaultdict(set)
    for name, service in stack["services"].items():
        for mount in service.get("volumes", []):
            if mount["type"] == "volume":
                places[mount["source"]].add(mount["target"])
            else:
                assert (mount["type"], mount["read_only"]) == ("bind", True), name
    assert all(len(paths) == 1 for paths in places.values()), places
    assert set(places) == set(stack["volumes"])
    assert places["lake"] == {"/data/iceberg"}
    assert places["warehouse"] == {"/duckdb"}
    assert places["published"] == {"/published"}


def test_transcripts_are_only_read(services: Services, home_of_stack: Path) -> None:
    """They are mounted read-only under their own path, by the two that read, and never made."""
    own = str(home_of_stack / ".claude" / "projects")
    found = {}
    for name, service in services.items():
        for mount in service.get("volumes", []):
            if mount["source"] == own:
                found[name] = (mount["target"], mount["read_only"])
                assert not mount["bind"].get("create_host_path")
                assert service["environment"]["CLAUDE_DIR"] == own
    assert found == dict.fromkeys(("prefect-worker", "sync-agent"), (own, True))


def test_readers_cannot_write(services: Services) -> None:
    """Metabase and the metrics see the published builds, and cannot write them."""
    for name in ("metabase", "pipeline-metrics"):
        mounts = {one["source"]: one for one in services[name]["volumes"]}
        assert mounts["published"]["read_only"] is True


def test_paths_inside_are_those_of_the_original(services: Services) -> None:
    """Agent and worker see the same paths, whatever a file of settings says."""
    for name in ("sync-agent", "prefect-worker", "prefect-deploy", "pipeline-metrics"):
        environment = services[name]["environment"]
        for setting, value in INSIDE.items():
            assert environment[setting.upper()] == value, name
    assert INSIDE["duckdb_path"] == "/duckdb/analytics.db"
    assert INSIDE["iceberg_warehouse_path"] == "/data/iceberg"


def test_no_password_has_a_default(home_of_stack: Path, services: Services) -> None:
    """Without any one of the passwords nothing is started, and each of them is used."""
    text = str(services)
    for name in NAMES:
        assert PASSWORDS[name] in text, name
        done = parse("--quiet", home=home_of_stack, **{**PASSWORDS, name: ""})
        assert done.returncode != 0
        assert name in done.stderr
    source = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    unsafe = r"(?:PASSWORD|SECRET_KEY|ACCESS_KEY_ID|ENCRYPTION\w*): (?!\$\{\w+:\?)"
    assert re.findall(unsafe, source) == []


def test_each_role_has_a_user_of_its_own(home_of_stack: Path, services: Services) -> None:
    """The agent ships as one user, the worker reads as another; an own MongoDB is used as given."""
    uris = {
        name: services[name]["environment"]["MONGO_URI"]
        for name in ("sync-agent", "prefect-worker")
    }
    assert uris["sync-agent"].startswith("mongodb://annals-agent:")
    assert uris["prefect-worker"].startswith("mongodb://annals-extractor:")
    given = "mongodb://me:pw@db.example.org/?tls=true"
    other = model(home_of_stack, MONGO_URI=given)["services"]
    assert {other[name]["environment"]["MONGO_URI"] for name in uris} == {given}


def test_the_worker_leaves_reading_to_the_agent(services: Services) -> None:
    """Its user cannot ship, so it does not try; the agent triggers its runs."""
    assert services["prefect-worker"]["environment"]["READS_TRANSCRIPTS"] == "false"
    assert services["sync-agent"]["environment"]["PIPELINE_TRIGGER"] == "prefect"


def test_a_team_keeps_prefect_in_postgresql(home_of_stack: Path, services: Services) -> None:
    """SQLite by default; the profile's layer names PostgreSQL and waits for it."""
    name = "PREFECT_SERVER_DATABASE_CONNECTION_URL"
    assert services["prefect-server"]["environment"][name].startswith(
        "sqlite+aiosqlite:////prefect/"
    )
    files = ("docker-compose.yml", "deploy/team.yml")
    server = model(home_of_stack, files)["services"]["prefect-server"]
    wanted = f"postgresql+asyncpg://prefect:{PASSWORDS['POSTGRES_PASSWORD']}@prefect-database:5432/"
    assert server["environment"][name].startswith(wanted)
    assert server["depends_on"]["prefect-database"]["condition"] == "service_healthy"


def test_with_the_object_store_the_lake_is_in_it(home_of_stack: Path, services: Services) -> None:
    """The profile's layer names catalog and object store as they are called inside."""
    assert not any(name.startswith("AWS_") for name in services["prefect-worker"]["environment"])
    layered = model(home_of_stack, ("docker-compose.yml", "deploy/s3.yml"))["services"]
    worker, store = layered["prefect-worker"], layered["object-store"]
    keys = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    assert [worker["environment"][key] for key in keys] == [
        store["environment"][key] for key in keys
    ]
    assert worker["environment"]["AWS_ACCESS_KEY_ID"] == PASSWORDS["OBJECT_STORE_KEY_ID"]
    assert worker["environment"]["ICEBERG_CATALOG_TYPE"] == "rest"
    (port,) = (one["target"] for one in store["ports"])
    assert worker["environment"]["S3_ENDPOINT"] == f"http://object-store:{port}"
    port = layered["rest-catalog"]["environment"]["REST_PORT"]
    assert worker["environment"]["ICEBERG_CATALOG_URI"] == f"http://rest-catalog:{port}"
    for service in ("rest-catalog", "object-store"):
        assert set(worker["networks"]) & set(layered[service]["networks"])
    catalog = layered["rest-catalog"]["environment"]
    assert catalog["CATALOG_S3_ENDPOINT"] == worker["environment"]["S3_ENDPOINT"]
    assert catalog["AWS_REGION"] == worker["environment"]["AWS_REGION"]
    assert worker["depends_on"]["rest-catalog"]["condition"] == "service_healthy"


def test_the_sums_of_the_jars_are_arguments_of_the_build(home_of_stack: Path) -> None:
    """They come from the settings and have no default."""
    sums = {"METABASE_SHA256": "a" * 64, "METABASE_DRIVER_SHA256": "b" * 64}
    build = model(home_of_stack, **sums)["services"]["metabase"]["build"]
    assert build["args"] == sums
    assert not any(model(home_of_stack)["services"]["metabase"]["build"]["args"].values())


def test_what_has_no_business_outside_cannot_get_there(stack: Any) -> None:
    """Databases and metrics are on a network without a way out."""
    assert stack["networks"]["inner"]["internal"] is True
    for name in ("mongodb", "prefect-database", "pipeline-metrics", "prefect-deploy"):
        assert list(stack["services"][name]["networks"]) == ["inner"]
