"""The dbt docs as one page, built without a warehouse and served."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.conftest import Built, clean_environment
from tests.servers.running import free_port

PATIENCE_SECONDS = 120


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "operations.dbt_docs", *arguments]


@pytest.mark.slow
def test_the_page_is_built_and_served(home: Path) -> None:
    """One page with the models and nobody's folders; no warehouse is made for it."""
    port = free_port()
    server = subprocess.Popen(
        _command("--port", str(port)), env=clean_environment(home), cwd=home, stderr=subprocess.PIPE
    )
    try:
        until = time.monotonic() + PATIENCE_SECONDS
        page = ""
        while not page:
            assert server.poll() is None
            assert time.monotonic() < until
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
                    page = answer.read().decode()
            except urllib.error.URLError:
                time.sleep(0.2)
        assert "fct_api_responses" in page
        assert str(home) not in page
        with pytest.raises(urllib.error.HTTPError) as missing:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/other/", timeout=10)
        missing.value.close()
    finally:
        server.send_signal(signal.SIGINT)
        _, said = server.communicate(timeout=PATIENCE_SECONDS)
    assert server.returncode == 130
    assert b"index.html" in said
    assert [path.name for path in (home / ".annals").rglob("*")] == ["docs", "index.html"]


def test_a_port_that_is_taken_is_said(home: Path) -> None:
    """A page that is there and a port that is not: exit 4, with the way out."""
    from annals.errors import DependencyError
    from operations.dbt_docs import serve

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(DependencyError, match=f"port {port} cannot be had") as raised:
            serve(home / "index.html", host="127.0.0.1", port=port)
    assert "--port" in raised.value.hint


@pytest.mark.slow
def test_the_page_is_of_the_project_alone(built: Built, home: Path) -> None:
    """Whatever transcripts, settings and variables hold: not a word of it is in the page."""
    from annals.settings import load_settings
    from operations.dbt_docs import build

    secret = "Cnry-page-Zx9"  # noqa: S105 -- made up
    warehouse = built.home / ".annals" / "analytics.db"
    pages = []
    for name, changes in (("a", {}), ("b", {"duckdb_path": warehouse})):
        uri = f"mongodb://u:{secret}@{name}/"
        page = build(load_settings(annals_home=home / name, mongo_uri=uri, **changes))
        pages.append(page.read_text(encoding="utf-8"))
    assert len({_without_run(page) for page in pages}) == 1
    assert secret not in pages[0]
    assert 'ng-app="dbt"' in pages[0][:4096]


def _without_run(page: str) -> str:
    """Return a page without its times and the id of the run that made it."""
    page = re.sub(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[.\d]*(Z|\+00:00)?", "", page)
    page = re.sub(r'"(invocation_id|user_id)": ?"[^"]*"', "", page)
    return re.sub(r'"(created_at|invocation_started_at)": ?[\d.]+', "", page)
