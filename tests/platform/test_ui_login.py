"""Prefect's own page in a real browser: it asks for the login, keeps it, and works with it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers.browser import browsing
from tests.servers.prefects import Platform

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

FIELD = "input[type=password]"
SUBMIT = "document.querySelector('button[type=submit]').click()"


@pytest.mark.stack
def test_the_page_works_with_the_stored_login(platform: Platform, tmp_path: Path) -> None:
    """Without and with a wrong login nothing is shown; with the right one deployments are."""
    base = platform.api.removesuffix("/api")
    with browsing(tmp_path / "profile") as page:
        page.open(f"{base}/deployments")
        page.type_into(FIELD, "annals:wrong")
        page.value(SUBMIT)
        page.until("document.body.innerText.includes('Authentication failed')")
        assert "pipeline-adhoc" not in page.text()
        page.type_into(FIELD, platform.login)
        page.value(SUBMIT)
        page.until(f"!document.querySelector({FIELD!r})")
        page.open(f"{base}/deployments")  # loaded again: it was kept, and POST needs CSRF tokens
        page.until("document.body.innerText.includes('pipeline-adhoc')")
        page.open("data:text/html,<p>other")  # a page of another origin sees nothing of it
        assert page.value(
            "(() => { try { return localStorage.length } catch { return 0 } })()"
        ) in (
            0,
            None,
        )


@pytest.mark.parametrize(
    ("login", "says"),
    [(None, "answers and takes the login"), ("annals:wrong", "refuses the login of PREFECT_LOGIN")],
)
def test_doctor_asks_the_server(platform: Platform, login: str | None, says: str) -> None:
    """`doctor` says whether the server takes our login, and which one it refuses."""
    changes = {"PREFECT_LOGIN": login} if login else {}
    done = subprocess.run(
        [sys.executable, "-m", "analytics.cli", "doctor"],
        env=platform.environment | changes,
        cwd=platform.home,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    (line,) = [line for line in done.stdout.splitlines() if line[6:].startswith("prefect ")]
    assert says in " ".join(line.split()), done.stdout
    assert "annals:wrong" not in done.stdout
