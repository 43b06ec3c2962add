"""A session's turns: prompt, responses with their tool calls, the subagents they start."""

from __future__ import annotations

from examples.generator import lineage, records, responses
from examples.generator.chain import Session, Thread
from examples.generator.dice import Quantiles
from examples.generator.tools import Call, draw_call
from examples.generator.tree import Json, TranscriptFile

_THINKING: Quantiles = ((0.0, 60), (0.5, 380), (0.9, 1_700), (0.98, 7_000), (1.0, 20_000))
_SIGNATURE: Quantiles = ((0.0, 150), (0.6, 360), (0.92, 1_200), (1.0, 6_000))
_ANSWER: Quantiles = ((0.0, 20), (0.6, 130), (0.93, 900), (1.0, 4_200))
_STEPS: Quantiles = ((0.0, 0), (0.6, 4), (0.9, 13), (1.0, 32))
_UNREADABLE = (2, 1, 220)
"""From here on thinking blocks hold a signature and no text."""


def main_thread(session: Session) -> Thread:
    """Start the session's main file and return its thread."""
    path = f"{session.project.folder}/{session.session_id}.jsonl"
    return Thread(session, TranscriptFile(path))


def turn(thread: Thread, *, steps: int | None = None) -> None:
    """Write one turn: what a person typed, and everything up to the final answer."""
    session, dice = thread.session, thread.session.dice
    records.human_prompt(thread)
    if session.era.has("attachments"):
        for _ in range(dice.below(3)):
            records.drawn_attachment(thread)
    for _ in range(dice.quantile(_STEPS) if steps is None else steps):
        step(thread)
    answer(thread)
    if not thread.is_sidechain:
        records.turn_end(thread)


def step(thread: Thread) -> None:
    """Write one response that calls tools, and their results."""
    session, dice = thread.session, thread.session.dice
    if session.era.has("progress"):
        for _ in range(dice.below(3)):
            records.hook_progress(thread)
    if session.era.has("queued_command") and not thread.is_sidechain and dice.chance(0.02):
        records.queued_prompt(thread)
    calls = [draw_call(session) for _ in range(dice.weighted(((1, 84), (2, 12), (3, 4))))]
    lead = _lead(thread, thinking=0.45, text=0.32)
    stream = responses.begin(thread, len(lead) + len(calls), stop_reason="tool_use")
    for block in lead:
        responses.row(thread, stream, block=block)
    called = [_call(thread, stream, call) for call in calls]
    for call, (tool_use_id, uuid) in zip(calls, called, strict=True):
        if call.name == "Bash" and session.era.has("progress") and dice.chance(0.7):
            records.running_command(thread, tool_use_id)
        records.tool_result(thread, call, tool_use_id=tool_use_id, answers=uuid)


def answer(thread: Thread) -> None:
    """Write the response that ends a turn."""
    prose, dice = thread.session.world.library.prose, thread.session.dice
    blocks = _lead(thread, thinking=0.4, text=0.0)
    blocks.append({"type": "text", "text": prose.take(dice, 2 * dice.quantile(_ANSWER))})
    stream = responses.begin(thread, len(blocks), stop_reason="end_turn")
    for block in blocks:
        responses.row(thread, stream, block=block)


def _call(thread: Thread, stream: responses.Stream, call: Call) -> tuple[str, str]:
    prefix = "call_" if thread.session.is_gateway else "toolu_01"
    tool_use_id = prefix + thread.session.dice.letters(22)
    thread.session.world.truth.tool_calls += 1
    block = {"type": "tool_use", "id": tool_use_id, "name": call.name, "input": call.input}
    return tool_use_id, responses.row(thread, stream, block=block)


def _lead(thread: Thread, *, thinking: float, text: float) -> list[Json]:
    session, dice = thread.session, thread.session.dice
    prose = session.world.library.prose
    blocks: list[Json] = []
    if dice.chance(thinking):
        thought = prose.take(dice, dice.quantile(_THINKING))
        if session.era.number >= _UNREADABLE:
            thought = ""
        signature = dice.base64(dice.quantile(_SIGNATURE))
        blocks.append({"type": "thinking", "thinking": thought, "signature": signature})
    if dice.chance(text):
        blocks.append({"type": "text", "text": prose.take(dice, dice.quantile(_ANSWER))})
    return blocks


def subagent(thread: Thread, *, steps: int, copies: bool = False) -> Thread:
    """Start a subagent from ``thread``, write its whole file, and return its thread (closed).

    Up to 2.0.27 its records stand in the main file itself, as a side chain. With ``copies`` the
    main file also gets each of its responses nested in ``agent_progress`` records.
    """
    session, dice, era = thread.session, thread.session.dice, thread.session.era
    prompt = session.world.library.prose.take(dice, 400).strip()
    name = "Agent" if era.has("agent_tool") else "Task"
    given = {"description": prompt[:30], "prompt": prompt, "subagent_type": "general-purpose"}
    stream = responses.begin(thread, 1, stop_reason="tool_use")
    agent = _agent_thread(thread)
    result = {"status": "completed", "prompt": prompt, "agentId": agent.agent_id, "content": []}
    call = Call(name, given, "The subagent has finished.", result)
    tool_use_id, uuid = _call(thread, stream, call)
    _sidechain(agent, prompt, steps)
    if agent.file is not thread.file:
        session.world.close(agent.file)
    if copies and era.has("progress"):
        lineage.repeat_nested(thread, agent, tool_use_id=tool_use_id)
    records.tool_result(thread, call, tool_use_id=tool_use_id, answers=uuid)
    return agent


def _agent_thread(thread: Thread) -> Thread:
    session, era = thread.session, thread.session.era
    folder = session.project.folder
    digits = 16 if era.has("long_agent_id") else 7
    agent_id = session.dice.hexadecimal(digits)
    agent_id = f"a{agent_id}" if era.has("long_agent_id") else agent_id
    if era.has("flat_agents"):
        path = f"{folder}/agent-{agent_id}.jsonl"
    elif era.has("agent_files"):
        path = f"{folder}/{session.session_id}/subagents/agent-{agent_id}.jsonl"
    else:
        return Thread(session, thread.file, agent_id=agent_id)
    return Thread(session, TranscriptFile(path), agent_id=agent_id)


def _sidechain(agent: Thread, prompt: str, steps: int) -> None:
    message = {"role": "user", "content": prompt}
    tail = {"promptId": agent.session.dice.uuid()} if agent.session.era.has("prompt_id") else None
    agent.chained("user", {"message": message}, at=agent.session.later(20, 90), tail=tail)
    for _ in range(steps):
        step(agent)
    answer(agent)
