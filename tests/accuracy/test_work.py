"""Projects, turns and calls: the transcript in, exact integers out."""

from __future__ import annotations

from tests.accuracy.conftest import Counted


def test_a_session_belongs_to_the_project_it_began_in(counted: Counted) -> None:
    """A-11: Where the shell went does not matter; worktrees are their project's."""
    rows = counted.rows(
        "select session_id, project_path, project_name from gold.dim_sessions"
        " join gold.dim_projects using (project_key) where session_id like 'walk-%' order by 1"
    )
    assert rows == [
        *((f"walk-{letter}", "/walk/mono", "mono") for letter in "abc"),
        ("walk-d", "/trees/one-more", "one-more"),
    ]
    for table in ("fct_api_responses", "fct_tool_calls"):
        differing = counted.row(
            f"select count(*) from gold.{table} as facts join gold.dim_sessions as sessions"
            " using (session_id) where facts.project_key <> sessions.project_key"
        )
        assert differing == (0,), table


def test_spellings_of_a_folder_are_one_project(counted: Counted) -> None:
    """A-11: Drive letters, /mnt/c, worktrees of Windows, and accents in both forms."""
    assert counted.rows(
        "select count(distinct project_key), list(session_id order by session_id)"
        " from gold.dim_sessions where session_id like 'spell-%' group by project_key"
        " order by 2"
    ) == [(1, ["spell-0", "spell-1", "spell-2"]), (1, ["spell-3", "spell-4"])]


def test_turns_that_nobody_typed_are_none(counted: Counted) -> None:
    """A-13: A schedule, a hook and another session are not people."""
    assert counted.row(
        "select human_turns from gold.dim_sessions where session_id = 'alone'"
    ) == (2,)  # fmt: skip


def test_queued_lists_are_turns_if_they_hold_own_words(counted: Counted) -> None:
    """A-13: Words or a picture beside injected text; injected text alone is not a turn."""
    assert counted.row(
        "select human_turns from gold.dim_sessions where session_id = 'queue'"
    ) == (3,)  # fmt: skip


def test_calls_in_nested_copies_count(counted: Counted) -> None:
    """A-14: A call is one row, whether progress records show it alone, twice, or once more."""
    assert counted.rows(
        "select tool_use_id, tool_name, has_result, is_error, duration_ms, is_subagent, is_nested"
        " from gold.fct_tool_calls where session_id = 'nest' order by 1"
    ) == [
        ("toolu_n1", "Bash", True, False, 2_000, True, True),
        ("toolu_n2", "Bash", True, False, 3_000, True, False),
    ]


def test_server_tools_are_calls(counted: Counted) -> None:
    """A-14: The server's own tools have calls and results in the answer itself."""
    assert counted.rows(
        "select tool_use_id, tool_name, has_result, is_error from gold.fct_tool_calls"
        " where session_id = 'serve' order by 1"
    ) == [
        ("srvtoolu_0", "web_search", True, False),
        ("srvtoolu_1", "web_search", True, True),
    ]
