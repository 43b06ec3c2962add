"""Hostile text on its way to Prefect and to notifications: states, logs, templates, artifacts.

Prefect is imported in the tests: it takes seconds, and every process of the suite reads this file.
"""

from __future__ import annotations

import logging
import re
from typing import Any

import pytest

from annals import secrecy
from annals.secrecy import link_address
from annals.text import markdown

EVIL = "\x1b]0;own\x07\x1b[31m\x9b5n\u202e\u2066\u200b\x00<!channel> <b>[x](http://e) ![i](http://e)\r\n|a|"


@pytest.fixture
def cleaned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clean states and logs for the length of a test."""
    from prefect import states

    from flows.prefect import cleaning

    secrecy.register(["hunter2secret"])  # installs the filter of secrets, which stays
    factory = logging.getLogRecordFactory()
    monkeypatch.setattr(cleaning, "_is_installed", [])
    monkeypatch.setitem(vars(states), "format_exception", states.format_exception)
    cleaning.clean_states_and_logs()
    yield
    logging.setLogRecordFactory(factory)


def _fail(words: str) -> None:
    raise ValueError(words)


def _visible(text: str) -> bool:
    return all(line.isprintable() for line in text.split("\n"))


@pytest.mark.usefixtures("cleaned")
def test_states_of_tasks_pass_the_filter() -> None:
    """An exception of a library, quoted by Prefect's own code: no secret, no control character."""
    from prefect import states

    secrecy.register(["hunter2secret"])
    error = ValueError(f"mongodb://me:hunter2secret@h/?a=hunter2secret {EVIL}")
    for made in (states.exception_to_failed_state, states.exception_to_crashed_state):
        import asyncio

        message = asyncio.run(made(error)).message or ""
        assert "ValueError" in message
        assert "hunter2" not in message
        assert _visible(message)
    long = asyncio.run(states.exception_to_failed_state(ValueError("x" * 1_000_000))).message
    assert len(long or "") < 30_000


@pytest.mark.usefixtures("cleaned")
def test_log_records_pass_the_filter(caplog: pytest.LogCaptureFixture) -> None:
    """A record and its traceback, as Prefect's handler formats them for the server."""
    secrecy.register(["hunter2secret"])
    try:
        _fail(f"hunter2secret {EVIL}")
    except ValueError:
        logging.getLogger("of.a.library").exception("%s", f"failed: hunter2secret {EVIL}")
    (record,) = caplog.records
    text = logging.Formatter().format(record)
    assert "hunter2" not in text
    assert "ValueError" in text
    assert _visible(text)


@pytest.mark.parametrize(
    ("kind", "harm"),
    [("slack", r"<[!h|b]"), ("teams", r"(?<!\\)\["), ("webhook", r"[\x00-\x09\x0b-\x1f]")],
)
def test_a_notification_holds_no_markup_of_others(kind: str, harm: str) -> None:
    """Rendered as the server does it, the words of a run are words for Slack and Teams."""
    from uuid import uuid4

    from prefect.server.utilities.user_templates import render_user_template_sync

    from flows.prefect.automations import _failed
    from flows.prefect.cleaning import shown_text

    (action,) = _failed(uuid4(), kind).actions
    run: dict[str, Any] = {"name": EVIL, "state": {"name": "Failed", "message": shown_text(EVIL)}}
    assert not isinstance(action, str)
    for template in (action.subject, action.body.partition("\n\n")[0]):  # type: ignore[union-attr]
        run["name"] = shown_text(EVIL)
        rendered = render_user_template_sync(template, {"flow_run": run})
        assert "channel" in rendered
        assert "rror" not in rendered
        assert not re.search(harm, rendered), rendered


@pytest.mark.parametrize(
    "address",
    [
        "http://me:hunter2@docs.example/dbt?token=hunter2#hunter2",
        "http://docs.example/dbt",
        "http://docs.example/dbt?hunter2",
    ],
)
def test_a_link_has_no_secret(address: str) -> None:
    """What people are to follow has neither user, password, query nor fragment."""
    assert link_address(address) == "http://docs.example/dbt"


def test_markdown_shows_what_is_there() -> None:
    """Links, images, HTML and tables of others are text in an artifact."""
    shown = markdown(EVIL)
    assert "\n" not in shown
    assert not re.search(r"(?<!\\)[\[\]()!|<>]", shown.replace("&lt;", "").replace("&gt;", ""))
