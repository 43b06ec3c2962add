"""A proxy that other work exported gets nothing; one that a setting names is judged and used.

0.0.0.0 is an address off loopback for everybody who judges addresses, and leads to this machine.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from annals.errors import SettingsError
from annals.process import environments
from annals.process.environments import (
    ROOT,
    child_environment,
    prepare_environment,
    tool_environment,
)
from annals.settings import load_settings
from annals.settings.destinations import require_allowed
from annals.settings.passing import as_environment
from tests.conftest import Run
from tests.servers.lakes import FarLake
from tests.servers.listeners import VARIABLES, Listener

ELSEWHERE = "0.0.0.0"  # noqa: S104 - an address to connect to
AWAY = {
    "ICEBERG_CATALOG_TYPE": "rest",
    "ICEBERG_CATALOG_URI": "http://catalog.invalid/",
    "CLAUDE_DIR": str(ROOT / "examples" / "transcripts"),
}


@pytest.fixture
def proxy() -> Iterator[Listener]:
    """Return a proxy of other work."""
    found = Listener()
    yield found
    found.close()


@pytest.fixture
def nothing_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process forget at the end of the test what it learns of proxies."""
    for name in ("_removed", "_chosen_proxy", "_proxies_of_others"):
        kind = type(getattr(environments, name))
        monkeypatch.setattr(environments, name, kind())
    for name in (*VARIABLES, "no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


@pytest.mark.slow
def test_a_lake_is_reached_past_the_proxies_of_others(
    annals: Run, home: Path, far_lake: FarLake, proxy: Listener
) -> None:
    """Catalog, object store, DuckDB: all is read and written, and nothing came by the proxy."""
    place = as_environment(far_lake.settings(ROOT))
    for name in ("ANNALS_ENV_FILE", "ANNALS_HOME", "SQLITE_PATH"):
        place.pop(name, None)
    for name in ("ICEBERG_CATALOG_URI", "S3_ENDPOINT"):
        place[name] = place[name].replace("127.0.0.1", ELSEWHERE)
    place |= {"ALLOW_DESTINATIONS": ELSEWHERE, "CLAUDE_DIR": str(home / "transcripts")}
    chat = home / "transcripts" / "-p" / "chat.jsonl"
    chat.parent.mkdir(parents=True)
    chat.write_bytes(b'{"type":"user"}\n')
    done = annals("pipeline", **place, **proxy.variables)
    assert done.code == 0, done.err
    assert far_lake.files(".parquet")
    assert proxy.requests == []


def test_a_place_off_this_machine_is_asked_directly(annals: Run, proxy: Listener) -> None:
    """A catalog elsewhere that cannot be found is named, and `doctor` names the unused proxy."""
    away = AWAY | {"ALLOW_DESTINATIONS": "catalog.invalid"}
    assert annals("iceberg", "info", **away, **proxy.variables).code == 4
    seen = annals("doctor", **away, **proxy.variables)
    assert "HTTP_PROXY" in seen.out
    assert "OUTBOUND_PROXY" in seen.out
    assert proxy.requests == []


def test_the_proxy_of_the_settings_is_used(annals: Run, proxy: Listener) -> None:
    """OUTBOUND_PROXY is asked for what is off this machine; `status` says so without its login."""
    address = proxy.address.replace("//", "//me:hunter2@")
    away = AWAY | {"ALLOW_DESTINATIONS": "catalog.invalid", "OUTBOUND_PROXY": address}
    done = annals("iceberg", "info", **away)
    assert done.code == 4, done.err
    assert proxy.requests
    assert all("catalog.invalid" in line for line in proxy.requests)
    shown = annals("status", **away)
    assert f"127.0.0.1:{proxy.port}" in shown.out
    assert "hunter2" not in shown.out + shown.err + done.err


@pytest.mark.usefixtures("nothing_chosen")
def test_a_proxy_elsewhere_has_to_be_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that the environment alone names is a place like others: exit 3 and the remedy."""
    monkeypatch.setenv("OUTBOUND_PROXY", "http://proxy.example:3128")
    with pytest.raises(SettingsError) as refused:
        require_allowed(load_settings(), "iceberg_catalog_uri")
    assert "annals sync allow proxy.example:3128" in refused.value.hint
    assert not any(name in os.environ for name in VARIABLES)
    monkeypatch.setenv("ALLOW_DESTINATIONS", "proxy.example")
    require_allowed(load_settings(), "iceberg_catalog_uri")
    assert os.environ["HTTPS_PROXY"] == "http://proxy.example:3128"


@pytest.mark.usefixtures("nothing_chosen")
@pytest.mark.parametrize("listed", ["", "example.com"])
@pytest.mark.parametrize("api", ["http://127.0.0.9:4200/api", "http://prefect.example/api"])
def test_this_machine_and_prefect_are_asked_directly(
    monkeypatch: pytest.MonkeyPatch, listed: str, api: str
) -> None:
    """Children get the proxy with its exceptions: loopback, services, Prefect, NO_PROXY."""
    monkeypatch.setenv("no_proxy", listed)
    settings = load_settings(
        outbound_proxy="http://127.0.0.1:3128",
        prefect_api_url=api,
        iceberg_catalog_type="rest",
        iceberg_catalog_uri="http://rest-catalog:8181",
    )
    require_allowed(settings, "prefect_api_url")
    child = child_environment()
    assert child["http_proxy"] == "http://127.0.0.1:3128"
    direct = set(child["no_proxy"].split(","))
    host = api.split("/")[2].partition(":")[0]
    assert {"127.0.0.1", "localhost", "::1", "rest-catalog", host} <= direct
    assert not listed or listed in direct


@pytest.mark.usefixtures("nothing_chosen")
@pytest.mark.parametrize("mark", ["", environments.MADE])
def test_proxies_of_others_stay_with_tools_of_others(
    monkeypatch: pytest.MonkeyPatch, mark: str
) -> None:
    """Docker keeps the proxy of its user; no process of ours gets it, nor a file for TLS keys."""
    monkeypatch.setenv(environments.MARK, mark)
    for name in (*VARIABLES, "socks_proxy"):
        monkeypatch.setenv(name, "http://proxy:3128")
    monkeypatch.setenv("NO_PROXY", "example.com")
    prepare_environment()
    assert not any(name in child_environment() for name in (*VARIABLES, "socks_proxy"))
    assert tool_environment()["https_proxy"] == "http://proxy:3128"
    assert child_environment()["NO_PROXY"] == "example.com"
