"""What a web page, another user, or a run that carries too much gets from the platform: nothing."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import json
import os
import shutil
import stat
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from annals.prefect_api import PrefectApi, PrefectRefusedError, authorization_header
from annals.settings import load_settings
from operations.dbt_docs import serve as serve_docs
from sync_agent.agent.pipelines import PrefectPipelines
from tests.conftest import ROOT
from tests.servers.prefects import Platform, Process, until
from tests.servers.running import free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

PIPELINE = "pipeline/pipeline-adhoc"


def status(platform: Platform, method: str, path: str, **headers: str) -> int:
    """Return the status of a request with these headers alone."""
    place = urlsplit(platform.api)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=60)
    with contextlib.closing(connection):
        body = "{}" if method == "POST" else None
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, place.path + path, body, fields)
        return connection.getresponse().status


def test_the_login_is_private_and_wanted(platform: Platform) -> None:
    """The server made one at its start, for its user alone; without it, or with another, 401."""
    path = platform.home / "annals" / "prefect" / "login"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    right, wrong = authorization_header(platform.login), authorization_header("annals:wrong")
    assert status(platform, "GET", "/health") == 200
    for headers, code in (
        ({}, 401),
        ({"Authorization": wrong}, 401),
        ({"Authorization": right}, 200),
    ):
        assert status(platform, "GET", "/admin/version", **headers) == code
        assert status(platform, "GET", "/metrics", **headers) == code
    filtered = "/deployments/filter"
    assert status(platform, "POST", filtered, Authorization=right) == 403, "no CSRF token"
    assert isinstance(PrefectApi(platform.api, platform.login).call("POST", filtered, {}), list)


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_other_sites_are_refused_before_anything_else(platform: Platform, method: str) -> None:
    """A foreign Host or Origin is 403 with any method, with the right login too."""
    right = authorization_header(platform.login)
    place = urlsplit(platform.api).netloc
    for headers in (
        {"Host": "evil.example"},
        {"Host": f"evil.example:{urlsplit(platform.api).port}"},
        {"Host": place, "Origin": "https://evil.example"},
        {"Host": place, "Origin": "null"},
        {"Host": place, "Origin": "http://127.0.0.1:1"},
    ):
        assert status(platform, method, "/health", Authorization=right, **headers) == 403


def test_the_server_takes_no_option_that_opens_it(platform: Platform) -> None:
    """Workers and background processes would go round the guard: exit 2."""
    for words in (("--workers", "2"), ("--background",), ("-b",), ("--port", "many")):
        done = platform.command("server", *words)
        assert done.returncode == 2, done.stderr
        assert "--host HOST and --port PORT" in done.stderr


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"command": "touch mark"}, "`command`"),
        ({"working_dir": "/"}, "`working_dir`"),
        ({"env": {"PYTHONPATH": "/x"}}, "`PYTHONPATH`"),
        ({"env": {"LD_PRELOAD": "/x"}}, "`LD_PRELOAD`"),
        ({"env.PATH": "/x"}, "`env.PATH`"),
        ({"labels": {"a": "b"}}, "`labels`"),
    ],
    ids=lambda value: value.strip("`") if isinstance(value, str) else "",
)
def test_the_server_refuses_a_run_that_carries_too_much(
    platform: Platform, variables: dict[str, Any], named: str
) -> None:
    """The pool's template is closed: such a run is never made."""
    with pytest.raises(PrefectRefusedError) as refused:
        platform.ask(PIPELINE, job_variables=variables)
    assert refused.value.status == 422
    assert named.strip("`") in refused.value.content.decode()


def test_the_worker_refuses_it_where_the_template_is_the_stock_one(
    platform: Platform, tmp_path: Path
) -> None:
    """With the stock template of an older database the worker executes nothing; deploy mends it.

    So it does a deployment of ours whose code was changed since.
    """
    from prefect.workers.process import ProcessWorker

    mark = tmp_path / "mark"
    stock = ProcessWorker.get_default_base_job_template()
    platform.call("PATCH", "/work_pools/annals", {"base_job_template": stock})
    try:
        run_id = platform.ask(
            PIPELINE,
            job_variables={"command": f"touch {mark}", "env": {"PYTHONSTARTUP": str(mark)}},
        )
        state = platform.becomes(run_id)
    finally:
        backfill = platform.get("/deployments/name/pipeline/pipeline-backfill")
        steps = [{"prefect.deployments.steps.run_shell_script": {"script": f"touch {mark}"}}]
        changed = {"entrypoint": "this.that", "pull_steps": steps}
        platform.call("PATCH", f"/deployments/{backfill['id']}", changed)
        deployed = platform.deploy()
    assert state["name"] == "Failed", state
    now = platform.get(f"/deployments/{backfill['id']}")
    assert (now["entrypoint"], now["pull_steps"]) == (backfill["entrypoint"], [])
    assert state["message"].startswith("UsageError: this run is refused, and nothing of it was")
    assert "`command`" in state["message"]
    assert "`PYTHONSTARTUP`" in state["message"]
    assert not mark.exists()
    assert "work pool updated: annals" in deployed.stdout, deployed.stderr
    template = platform.get("/work_pools/annals")["base_job_template"]
    assert template["variables"]["additionalProperties"] is False
    assert set(template["variables"]["properties"]) == set(template["job_configuration"]) == {"env"}


def test_a_deployment_of_others_is_not_executed(platform: Platform, tmp_path: Path) -> None:
    """A deployment in our pool with other code, or with steps before it, ends Failed as well."""
    mark = tmp_path / "mark"
    script = tmp_path / "other.py"
    script.write_text(f"open({str(mark)!r}, 'w')\n")
    flow = platform.get(f"/deployments/name/{PIPELINE}")["flow_id"]
    shell = {"prefect.deployments.steps.run_shell_script": {"script": f"touch {mark}"}}
    for number, other in enumerate(
        ({"entrypoint": f"{script}:flow"}, {"entrypoint": "this.that"}, {"pull_steps": [shell]})
    ):
        ours = {"entrypoint": "flows.prefect.pipeline.pipeline", "name": f"other-{number}"}
        body = {**ours, "flow_id": flow, "work_pool_name": "annals", **other}
        made = platform.call("POST", "/deployments/", body)
        try:
            run_id = platform.ask(f"pipeline/other-{number}")
            state = platform.becomes(run_id)
        finally:
            platform.call("DELETE", f"/deployments/{made['id']}")
        assert state["name"] == "Failed", state
        assert "nothing of it was executed: its deployment" in state["message"]
    assert not mark.exists()


def test_everyone_of_ours_gets_in(platform: Platform) -> None:
    """The agent's trigger and the containers' health check use the login, and need it."""
    settings = load_settings(annals_home=platform.home / "annals", prefect_api_url=platform.api)
    assert PrefectPipelines(settings).run(threading.Event()) in (True, False)
    check = [sys.executable, str(ROOT / "deploy/annals/healthy.py"), platform.api]
    names = [one["name"] for one in platform.post("/work_pools/annals/workers/filter")]
    found = []
    for login in ({"PREFECT_LOGIN": platform.login}, {}):
        done = [
            subprocess.run(
                [*check, "--worker-of", "annals", "--worker", name],
                env=platform.environment | login,
                capture_output=True,
                check=False,
            ).returncode
            for name in names
        ]
        found.append(0 in done)
    assert found == [True, False]


ATTACK = """<!doctype html><title>attack</title><body><script>
const bases = %s, control = %s, deployment = %s, read = [];
const run = JSON.stringify({state: {type: "SCHEDULED"}, job_variables: {command: "touch mark"}});
const ways = ["", "/", "/health", "/metrics", "/api/health", "/api/deployments/filter",
  "/api/deployments/" + deployment + "/create_flow_run",
  "/api/variables/", "/api/csrf-token?client=x"];
async function attempt(name, ask) {
  try { const found = await ask(); if (found) read.push(name + ": " + found); } catch (error) {}
}
function socket(url) {
  return new Promise(done => {
    const it = new WebSocket(url, "prefect");
    it.onopen = () => done("open"); it.onerror = () => done(""); setTimeout(() => done(""), 3000);
  });
}
function form(url) {
  const frame = document.createElement("iframe"), it = document.createElement("form");
  frame.name = "f" + Math.random(); document.body.append(frame, it);
  it.method = "POST"; it.enctype = "text/plain"; it.action = url; it.target = frame.name;
  const field = document.createElement("input"); field.name = run; it.append(field); it.submit();
}
(async () => {
  const body = run, json = {"Content-Type": "application/json"};
  for (const base of bases) {
    for (const way of ways) {
      const url = base + way;
      const post = {method: "POST", body}, opaque = {...post, mode: "no-cors"};
      await Promise.all([
        attempt("GET " + url, async () => (await (await fetch(url)).text()).length),
        attempt("POST " + url, async () => (await (await fetch(url, post)).text()).length),
        attempt("JSON " + url, async () => (await fetch(url, {...post, headers: json})).status),
        attempt("opaque " + url, async () => { await fetch(url, opaque); }),
      ]);
      form(url);
    }
    const place = base.replace("http", "ws");
    for (const way of ["/api/events/in", "/api/events/out", "/api/logs/out"])
      await attempt("socket " + base + way, () => socket(place + way));
  }
  const own = await (await fetch(control)).text();
  document.body.innerHTML = "<pre id=result></pre>";
  document.getElementById("result").textContent = JSON.stringify({read, own});
})();
</script>"""


class _Page(http.server.BaseHTTPRequestHandler):
    page = ""

    def do_GET(self) -> None:
        """Serve the attack to anyone who opens it, and a word that every page may read."""
        body = (self.page if self.path == "/" else "readable").encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Access-Control-Allow-Origin", "*")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def ports(platform: Platform, tmp_path: Path) -> Iterator[dict[str, str]]:
    """Have an agent and the dbt docs beside the server; return the addresses of all three."""
    port = free_port()
    own = {
        "HEALTH_PORT": str(port),
        "SQLITE_PATH": str(tmp_path / "b.db"),
        "PIPELINE_TRIGGER": "off",
    }
    environment = platform.environment | own | {"ANNALS_HOME": str(tmp_path / "a")}
    words = ("-m", "analytics.cli", "sync", "run")
    agent = Process(*words, environment=environment, log=tmp_path / "agent.log")
    page = tmp_path / "index.html"
    page.write_text("docs")
    docs = serve_docs(page, host="127.0.0.1", port=0)
    threading.Thread(target=docs.serve_forever, daemon=True).start()
    health = f"http://127.0.0.1:{port}"
    until(lambda: _answers(f"{health}/health"), what="the agent")
    yield {
        "prefect": platform.api.removesuffix("/api"),
        "agent": health,
        "docs": f"http://127.0.0.1:{docs.server_port}",
    }
    docs.shutdown()
    docs.server_close()
    agent.kill()


def _answers(url: str) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5) as found:  # noqa: S310
        return bool(found.status == 200)
    return False


def _browse(url: str, profile: Path) -> str:
    """Return what a real browser makes of a page, with names of other sites leading here."""
    browser = shutil.which("chromium")
    if browser is None:
        assert not os.environ.get("CI"), "CI must have a browser (.ci/run installs it)"
        pytest.skip("no chromium on this machine")
    command = [
        *(browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
        *("--disable-background-networking", f"--user-data-dir={profile}"),
        *("--host-resolver-rules=MAP evil.example 127.0.0.1", "--dump-dom"),
        *("--virtual-time-budget=60000", "--timeout=60000", url),
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=200, check=False).stdout


def _inventory(platform: Platform) -> dict[str, set[str]]:
    """Return the ids of what is on the server and could be made by an attack."""
    kinds = ("flow_runs", "deployments", "variables", "automations", "block_documents")
    found = {kind: {one["id"] for one in platform.post(f"/{kind}/filter")} for kind in kinds}
    by_hand = {"flow_runs": {"tags": {"is_null_": True}}}
    found["flow_runs"] = {one["id"] for one in platform.post("/flow_runs/filter", **by_hand)}
    return found


@pytest.mark.stack
@pytest.mark.parametrize("site", ["127.0.0.1", "evil.example"])
def test_a_page_of_another_origin_gets_nothing(
    platform: Platform, ports: dict[str, str], tmp_path: Path, site: str
) -> None:
    """In a real browser: fetch, forms, text that is JSON, and WebSockets to every port of ours.

    The page may read what another server allows it to, which shows that it did run.
    """
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Page)
    other = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Page)
    for one in (server, other):
        threading.Thread(target=one.serve_forever, daemon=True).start()
    deployment = platform.get(f"/deployments/name/{PIPELINE}")["id"]
    control = f"http://127.0.0.1:{other.server_address[1]}/word"
    values = (json.dumps([*ports.values()]), json.dumps(control), json.dumps(deployment))
    _Page.page = ATTACK % values
    before = _inventory(platform)
    try:
        shown = _browse(f"http://{site}:{server.server_address[1]}/", tmp_path / "profile")
    finally:
        for one in (server, other):
            one.shutdown()
            one.server_close()
    assert 'id="result"' in shown, shown[-600:]
    result = json.loads(shown.partition('id="result">')[2].partition("</pre>")[0])
    assert result == {"read": [], "own": "readable"}
    assert _inventory(platform) == before


@pytest.mark.stack
def test_a_name_that_is_led_here_shows_a_refusal(ports: dict[str, str], tmp_path: Path) -> None:
    """DNS rebinding in a real browser: the port answers under its own names, not under others."""
    for number, base in enumerate(ports.values()):
        shown = _browse(f"http://evil.example:{urlsplit(base).port}/", tmp_path / str(number))
        assert "refused: Host" in shown, base
