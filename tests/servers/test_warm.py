"""Commands that are forked do what new processes do."""

from __future__ import annotations

from tests.conftest import Run


def test_a_forked_command_may_parse_the_project_itself(annals: Run) -> None:
    """In another time zone it parses the project again: dbt's parser has threads of its own."""
    done = annals("pipeline", "--json", TIMEZONE="Asia/Tokyo")
    assert done.code == 0, done.err
