"""The stages as commands, one after the other, as a scheduler would run them."""

from __future__ import annotations

from tests.conftest import Run


def test_stages_answer_with_their_counters(annals: Run) -> None:
    """Each stage says what it did; what is done already is not done again."""
    synced = annals("sync", "once", "--json").data
    assert synced["sample"] is True
    assert synced["sync"]["entries_new"] == synced["custody"]["entries"] > 0
    assert annals("sync", "once", "--json").data["sync"]["bytes_read"] == 0
    extracted = annals("extract", "--json").data["extract"]
    assert extracted["snapshots_committed"] == 1
    again = annals("extract", "--full-backfill", "--json").data["extract"]
    assert again["records_read"] == extracted["records_read"]
    assert again["snapshots_committed"] == again["entries_new"] == 0
    loaded = annals("load", "--json").data["load"]
    assert loaded["rows_scanned"] == extracted["records_read"]
    assert annals("load", "--json").data["load"]["files_new"] == 0


def test_a_stage_without_the_one_before_says_which(annals: Run) -> None:
    """Extracting without a buffer and publishing without gold name what is to be run before."""
    without_buffer = annals("extract")
    assert without_buffer.code == 1
    assert "sync once" in without_buffer.err
    without_gold = annals("publish")
    assert without_gold.code == 1
    assert "annals transform" in without_gold.err


def test_the_human_form_is_one_line_a_stage(annals: Run) -> None:
    """Without --json each stage prints one line with its figures."""
    assert "new entries" in annals("sync", "once").out.splitlines()[0]
    assert annals("extract").out.count("\n") == 1
    assert "sessions are to be rebuilt" in annals("load").out
