"""Hazards of lineage: forks, copies, subagents, and what looks like a human turn but is none."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from examples.generator import lineage, records, turns
from examples.generator.chain import Session, Thread, stamp
from examples.generator.hazards.stage import START, Stage, prompt, write_prompt
from examples.generator.hazards.usage import intend, row, tokens
from examples.generator.truth import Usage


def _short(session: Session) -> Thread:
    """Write a turn of two responses and return its open thread."""
    thread = turns.main_thread(session)
    turns.turn(thread, steps=1)
    return thread


def fork(stage: Stage) -> None:
    """H10: a session that begins with the records of another, and then goes its own way."""
    thread = _short(stage.session())
    copy = lineage.fork(thread, keep=len(thread.kept))
    turns.turn(copy, steps=0)
    turns.turn(thread, steps=0)
    stage.close(thread)
    stage.close(copy)


def fork_reminted(stage: Stage) -> None:
    """H10: an editor's fork: new uuids, the same message ids and timestamps."""
    thread = _short(stage.session())
    copy = lineage.fork(thread, keep=len(thread.kept), remint=True)
    turns.turn(copy, steps=0)
    stage.close(copy)
    stage.close(thread)


def fork_of_fork(stage: Stage) -> None:
    """H10: a fork of a fork; every response of the first session is in three files."""
    thread = _short(stage.session())
    child = lineage.fork(thread, keep=len(thread.kept))
    turns.turn(child, steps=0)
    grandchild = lineage.fork(child, keep=len(child.kept))
    turns.turn(grandchild, steps=0)
    for each in (grandchild, child, thread):
        stage.close(each)


def resume_newer_version(stage: Stage) -> None:
    """One file, one session, continued days later by a newer version and another model."""
    session = stage.session("2.1.38")
    thread = _short(session)
    newer = stage.session("2.1.219", start=START + timedelta(days=3))
    newer.session_id = session.session_id
    thread.session = newer
    turns.turn(thread, steps=1)
    stage.close(thread)


def compaction(stage: Stage) -> None:
    """H10: boundary without parent, summary nobody typed, and a helper that copies everything."""
    thread = _short(stage.session())
    lineage.compaction_agent(thread)
    last, thread.parent = thread.parent, None
    metadata = {"trigger": "auto", "preTokens": 150_000, "postTokens": 9_000}
    members = {"logicalParentUuid": last, "compactMetadata": metadata, "content": "Compacted"}
    records.system(thread, "compact_boundary", **members)
    text = "This session is being continued from an earlier conversation."
    tail = {"isCompactSummary": True, "isVisibleInTranscriptOnly": True}
    message = {"message": {"role": "user", "content": text}}
    thread.chained("user", message, at=thread.session.later(1, 9), tail=tail)
    turns.turn(thread, steps=0)
    stage.close(thread)


def subagent_nested(stage: Stage) -> None:
    """Subagent in ``<session>/subagents/``, charged to its parent session."""
    thread = _short(stage.session())
    turns.subagent(thread, steps=1)
    stage.close(thread)


def subagent_flat(stage: Stage) -> None:
    """Until 2.1.29: a subagent's file beside the main ones."""
    thread = _short(stage.session("2.0.74"))
    turns.subagent(thread, steps=1)
    stage.close(thread)


def subagent_inline(stage: Stage) -> None:
    """Until 2.0.27: a subagent's records in the main file, as a side chain."""
    thread = _short(stage.session("1.0.108"))
    turns.subagent(thread, steps=1)
    stage.close(thread)


def subagent_orphaned(stage: Stage) -> None:
    """H20: the parent's file is gone, its subagent's file is still there."""
    session = stage.session()
    agent = stage.thread(
        session, name=f"{session.session_id}/subagents/agent-a0c0ffee", agent_id="a0c0ffee"
    )
    records.injected(agent, "Count the pallets.", is_meta=False)
    turns.answer(agent)
    stage.close(agent)


def subagent_two_sessions(stage: Stage) -> None:
    """Flat agent file that holds the records of two sessions."""
    first, second = stage.session("2.0.74"), stage.session("2.0.74")
    agent = stage.thread(first, name="agent-0c0ffee1", agent_id="0c0ffee1")
    turns.answer(agent)
    agent.session = second
    turns.answer(agent)
    stage.close(agent)


def agent_progress_only(stage: Stage) -> None:
    """Responses that are known from progress records alone: billed, so they count."""
    thread = _short(stage.session("2.1.49"))
    lineage.nested_response(thread, "a0c0ffee", tool_use_id="toolu_01AAAAAAAAAAAAAAAAAAAAAA")
    lineage.nested_response(thread, "a0c0ffee", tool_use_id="toolu_01AAAAAAAAAAAAAAAAAAAAAA")
    stage.close(thread)


def agent_progress_repeated(stage: Stage) -> None:
    """Progress records that repeat what the subagent's own file holds: one more copy each."""
    thread = _short(stage.session("2.1.49"))
    turns.subagent(thread, steps=1, copies=True)
    stage.close(thread)


def foreign_first_records(stage: Stage) -> None:
    """H10: main file whose first records name another session."""
    other, session = stage.session(), stage.session()
    thread = stage.thread(other, name=session.session_id)
    write_prompt(thread)
    thread.session = session
    write_prompt(thread)
    turns.answer(thread)
    stage.close(thread)


def other_session_throughout(stage: Stage) -> None:
    """H10: main file whose records all name another session than its file name does."""
    thread = stage.thread(name=stage.dice.uuid())
    write_prompt(thread)
    turns.answer(thread)
    stage.close(thread)


def parents_astray(stage: Stage) -> None:
    """Parents that come later, are nowhere, or lead in a circle."""
    thread = stage.thread()
    kept = [prompt(thread) for _ in range(4)]
    uuids = [item.record["uuid"] for item in kept]
    parents = (uuids[1], uuids[0], stage.dice.uuid(), uuids[3])
    for item, parent in zip(kept, parents, strict=True):
        item.record["parentUuid"] = parent
        thread.write(item)
        stage.truth.human_turns += 1
    stage.close(thread)


def tool_calls_unpaired(stage: Stage) -> None:
    """H23: a call without a result, and a result without a call."""
    thread = stage.thread()
    response = intend(thread, Usage(3, 30))
    row(thread, response, usage=tokens(3, 30), stop="tool_use")
    kept = thread.kept[-1]
    use = {"type": "tool_use", "id": "call_1", "name": "Bash", "input": {"command": "true"}}
    message = kept.record["message"] | {"content": [use]}
    again = kept.record | {"uuid": stage.dice.uuid(), "message": message}
    thread.write(replace(kept, record=again))
    response.rows += 1
    stage.truth.tool_calls += 1
    block = {"type": "tool_result", "tool_use_id": "call_2", "content": "lost"}
    members = {"message": {"role": "user", "content": [block]}}
    thread.chained("user", members, at=thread.session.later(1, 9))
    stage.truth.tool_results += 1
    stage.close(thread)


def not_human(stage: Stage) -> None:
    """User records that nobody typed, of the time before ``origin`` said so, and one that is."""
    thread = stage.thread(stage.session("2.1.14"))
    for start in NOT_HUMAN:
        records.injected(thread, f"{start} and more", is_meta=False)
    records.injected(thread, "Continue from where you left off.")
    records.human_prompt(thread, "Which tide comes first?")
    stage.close(thread)


NOT_HUMAN = (
    "<command-name>/clear</command-name>",
    "<command-message>clear</command-message>",
    "<local-command-stdout></local-command-stdout>",
    "<bash-input>ls</bash-input>",
    "<task-notification>",
    "<teammate-message>",
    "<ide_opened_file>",
    "<system-reminder>",
    "[Request interrupted by user]",
    "Caveat: The messages below were generated",
)
"""Beginnings of user records that are not human turns."""


def queued_prompts(stage: Stage) -> None:
    """Since 2.1.97 a prompt typed while the agent works is an attachment, and in a queue record."""
    thread = _short(stage.session())
    records.queued_prompt(thread)
    kind = "task-notification"
    records.attachment(thread, "queued_command", prompt="done", commandMode=kind, isMeta=True)
    turns.answer(thread)
    stage.close(thread)


def cost_state(stage: Stage) -> None:
    """Since August 2026: the vendor's own totals, cumulative, with a model no record names."""
    thread = _short(stage.session())
    usage = {"inputTokens": 9, "outputTokens": 90, "costUSD": 0.25}
    models = {thread.session.model: usage, "claude-haiku-4-5-20251001": usage}
    for total in (0.25, 0.5):
        state = {"type": "cost-state", "totalCostUSD": total, "modelUsage": models}
        thread.state(state | {"sessionId": thread.session.session_id})
    at = stamp(thread.session.now)
    thread.state({"type": "relocated", "relocatedCwd": "/home/ada/elsewhere", "timestamp": at})
    stage.close(thread)


LINEAGE = (
    fork,
    fork_reminted,
    fork_of_fork,
    resume_newer_version,
    compaction,
    subagent_nested,
    subagent_flat,
    subagent_inline,
    subagent_orphaned,
    subagent_two_sessions,
    agent_progress_only,
    agent_progress_repeated,
    foreign_first_records,
    other_session_throughout,
    parents_astray,
    tool_calls_unpaired,
    not_human,
    queued_prompts,
    cost_state,
)
