"""Hostile names in everything that the health endpoints answer."""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from annals.text import one_line
from sync_agent.agent import health
from sync_agent.agent.observation import Figures, Observation
from sync_agent.agent.trigger import Asked
from sync_agent.reading.activity import FileEvent, RootState

EVIL = '\x1b]0;own\x07\x9b5n\u202e\u2066\u200b\u2028\x00\n"} 1\nforged_total{a="b\\'

EXAMPLES: dict[str, Any] = {
    "str": EVIL,
    "bool": True,
    "int": 7,
    "float": 1.5,
    "Figures": Figures(1, 2, datetime(2026, 1, 1, tzinfo=UTC), 3),
    "Mapping[str, int]": {EVIL: 5, "plain": 1},
    "Mapping[str, RootState]": {EVIL: RootState(mode=EVIL, note=EVIL * 1_000)},
    "tuple[FileEvent, ...]": (FileEvent(EVIL, EVIL, datetime(2026, 1, 1, tzinfo=UTC)),),
    "Asked | None": Asked(state=EVIL, last_error=EVIL),
}
"""A value for each type of a field; a field of a new type has to get one."""


@pytest.fixture
def seen() -> Observation:
    """Return an agent whose every field holds hostile text."""
    return Observation(**{one.name: EXAMPLES[str(one.type)] for one in fields(Observation)})


@pytest.mark.parametrize("name", ["/health", "/ready"])
def test_an_answer_is_json_in_visible_characters(seen: Observation, name: str) -> None:
    """The body is one line of ASCII, and says what was there when it is parsed."""
    _, kind, body = health.ENDPOINTS[name](seen)
    assert kind == "application/json"
    assert body.isascii()
    assert body.isprintable()
    if name == "/health":
        assert json.loads(body)["lastEvents"][0]["file"] == EVIL


def test_a_label_forges_no_metric(seen: Observation) -> None:
    """Prometheus' own parser finds our metrics alone, and hostile names as values of labels."""
    _, _, body = health.ENDPOINTS["/metrics"](seen)
    assert all(line.isprintable() for line in body.split("\n"))
    families = list(text_string_to_metric_families(body))
    assert not [one for one in families if "forged" in one.name]
    labels = {
        value for one in families for sample in one.samples for value in sample.labels.values()
    }
    assert one_line(EVIL) in labels
