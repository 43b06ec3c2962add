"""The pipeline's metrics, and that board and alerts ask for nothing that nobody measures."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from annals.errors import DependencyError, WarehouseError
from annals.settings import Settings, load_settings
from flows.history import noted
from operations.metrics import METRICS, serve
from sync_agent.agent.metrics import METRICS as AGENT_METRICS
from tests.conftest import ROOT, Built
from tests.servers.building import built as built_server

OBSERVABILITY = ROOT / "deploy" / "observability"
LANGUAGE = {"rate", "time", "by", "sum", "m", "or", "absent"}
WORDS = LANGUAGE | {"up", "job", "agent", "pipeline", "prefect"}


def _samples(settings: Settings) -> dict[str, dict[str, float]]:
    """Ask the program's own port; return values by metric and by the values of its labels."""
    server, thread = serve(settings, host="127.0.0.1", port=0)
    try:
        address = f"http://127.0.0.1:{server.server_port}/metrics"
        with urllib.request.urlopen(address, timeout=10) as answer:
            families = [*text_string_to_metric_families(answer.read().decode())]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    return {
        family.name: {",".join(one.labels.values()): one.value for one in family.samples}
        for family in families
    }


def _board() -> Any:
    return json.loads((OBSERVABILITY / "grafana/boards/annals.json").read_text(encoding="utf-8"))


def _alerts() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load((OBSERVABILITY / "alerts.yml").read_text(encoding="utf-8"))["groups"]
    rules: list[dict[str, Any]] = group["rules"]
    return rules


def test_before_the_first_run_there_is_nothing_to_tell() -> None:
    """Every metric is named, and none has a value that was made up."""
    found = _samples(load_settings())
    assert set(found) == {metric.name for metric in METRICS}
    assert not any(found.values())


def test_a_run_is_told_with_its_counters(built: Built) -> None:
    """After a pipeline: when, how long, how it ended, what it did, what is published."""
    found = _samples(load_settings(annals_home=built.home / ".annals" / "sample"))
    assert found["annals_run_succeeded"] == {"": 1.0}
    assert found["annals_run_started_timestamp_seconds"][""] > 1.7e9
    assert found["annals_build_timestamp_seconds"][""] > 1.7e9
    assert "entries_new" in found["annals_run_counter"]
    assert found["annals_disk_free_bytes"]["state"] > 0


def test_a_failure_is_told() -> None:
    """A run that failed is 0, whatever it was."""
    settings = load_settings()
    with pytest.raises(WarehouseError), noted(settings, "pipeline"):
        raise WarehouseError("broken", hint="mend it")
    assert _samples(settings)["annals_run_succeeded"] == {"": 0.0}


def test_a_port_that_is_taken_is_a_dependency_that_is_missing() -> None:
    """The error names the port and how to give another one."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(DependencyError, match=f"port {port} cannot be had"):
            serve(load_settings(), host="127.0.0.1", port=port)


def test_board_and_alerts_ask_for_what_is_measured() -> None:
    """Every metric in an expression is one of the agent's or the pipeline's."""
    known = {one.name for one in (*AGENT_METRICS, *METRICS)} | WORDS
    asked = [target["expr"] for panel in _board()["panels"] for target in panel["targets"]]
    asked += [rule["expr"] for rule in _alerts()]
    assert len(asked) > 15
    for expression in asked:
        named = set(re.findall(r"[a-z_]{1,}", re.sub(r"\b[\d.]+(?:e\d+)?\w?\b", "", expression)))
        assert named <= known, expression


def test_grafana_finds_its_board_and_its_data() -> None:
    """Panels do not overlap, have ids of their own and name the data source that is provisioned."""
    places = Path(OBSERVABILITY / "grafana" / "provisioning")
    (source,) = yaml.safe_load((places / "datasources/prometheus.yml").read_text())["datasources"]
    (provider,) = yaml.safe_load((places / "dashboards/annals.yml").read_text())["providers"]
    assert provider["options"]["path"] == "/etc/grafana/boards"
    panels = _board()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels) >= 10
    cells = [
        (x, y)
        for panel in panels
        for place in [panel["gridPos"]]
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    assert {panel["datasource"]["uid"] for panel in panels} == {source["uid"]}


def test_prometheus_asks_the_services_of_the_stack() -> None:
    """Each target is a service of docker-compose.yml, at the port that it listens on."""
    found = yaml.safe_load((OBSERVABILITY / "prometheus.yml").read_text(encoding="utf-8"))
    targets = {
        one["job_name"]: one["static_configs"][0]["targets"][0] for one in found["scrape_configs"]
    }
    stack = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    for job, target in targets.items():
        name, _, port = target.partition(":")
        if job != "prometheus":
            assert port in str(stack[name].get("healthcheck")) + str(stack[name].get("command"))


_MINUTES = 300
_WELL = {
    'up{job="agent"}': "1",
    'up{job="pipeline"}': "1",
    'up{job="prefect"}': "1",
    "component_lag_bytes": "0",
    "component_connected": "1",
    "component_dead_letters": "0",
    "annals_run_succeeded": "1",
    "annals_run_started_timestamp_seconds": str(_MINUTES * 60 - 600),
    'annals_disk_free_bytes{place="state"}': "9e9",
}


def _firing(samples: dict[str, str], rules: Path = OBSERVABILITY / "alerts.yml") -> set[str]:
    """Return the alerts that Prometheus raises where these samples stand for hours."""
    load = "".join(f"  {name} {value}x{_MINUTES + 1}\n" for name, value in samples.items())
    done = subprocess.run(
        [built_server("alerts"), rules, str(_MINUTES)],
        input=f"load 1m\n{load}",
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def test_no_alert_where_all_is_well() -> None:
    """Prometheus reads the rules, and none of them holds."""
    assert _firing(_WELL) == set()


@pytest.mark.parametrize(
    ("name", "value", "alert"),
    [
        ('up{job="agent"}', "0", "AgentDown"),
        ('up{job="prefect"}', "0", "PrefectDown"),
        ('up{job="pipeline"}', "0", "NotMeasured"),
        ("component_lag_bytes", "11e6", "AgentBehind"),
        ("component_connected", "0", "ServerAway"),
        ("component_dead_letters", "1", "RecordsRefused"),
        ("annals_run_succeeded", "0", "RunFailed"),
        ("annals_run_started_timestamp_seconds", "3600", "NoRuns"),
        ('annals_disk_free_bytes{place="state"}', "1e9", "LittleDisk"),
    ],
)
def test_each_alert_tells_of_its_own(name: str, value: str, alert: str) -> None:
    """Each is raised by what it is for, and by nothing else."""
    assert _firing({**_WELL, name: value}) == {alert}
    assert alert in {rule["alert"] for rule in _alerts()}


def test_a_figure_that_is_missing_is_an_alert() -> None:
    """Whatever is not measured at all raises an alert: silence is not health."""
    for name in _WELL:
        left = {one: value for one, value in _WELL.items() if one != name}
        if name == "annals_run_succeeded":  # told together with when the run began
            del left["annals_run_started_timestamp_seconds"]
        assert _firing(left), name
    everything = {"AgentDown", "PrefectDown", "NotMeasured", "NoRuns"}
    assert _firing({"something_else": "1"}) == everything


def test_prometheus_refuses_a_rule_that_is_wrong(tmp_path: Path) -> None:
    """What reads the rules here would see a mistake in them."""
    wrong = tmp_path / "alerts.yml"
    text = (OBSERVABILITY / "alerts.yml").read_text(encoding="utf-8")
    for old, new in (("absent(", "absent("[:-1]), ("for: 5m", "for: 5 minutes"), ("expr", "expo")):
        wrong.write_text(text.replace(old, new), encoding="utf-8")
        with pytest.raises(subprocess.CalledProcessError):
            _firing(_WELL, wrong)


def test_every_alert_is_explained() -> None:
    """docs/deployment.md says of each alert what it means and what to do."""
    paper = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
    for rule in _alerts():
        assert rule["annotations"]["summary"].endswith(".")
        assert f"| `{rule['alert']}` |" in paper
