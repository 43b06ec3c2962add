"""Hazards of values: legal JSON that breaks parsers, schemas and stores. Every line is an entry."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from examples.generator.chain import Thread
from examples.generator.hazards.stage import Stage, prompt, write_entry, write_prompt
from examples.generator.tree import Json, encode


def _write_with(thread: Thread, member: bytes) -> None:
    """Write a prompt whose record ends in ``member``, given as JSON text."""
    kept = prompt(thread)
    write_entry(thread, kept, data=encode(kept.record)[:-1] + b"," + member + b"}")
    thread.file.separator(b"\n")


def _write_extra(thread: Thread, members: Json) -> None:
    kept = prompt(thread)
    kept.record.update(members)
    write_entry(thread, kept)
    thread.file.separator(b"\n")


def lone_surrogate(stage: Stage) -> None:
    """H17: an escaped lone surrogate, in a text, in a promoted field and in a key."""
    thread = stage.thread()
    kept = prompt(thread, "tide SURROGATE chart")
    write_entry(thread, kept, data=encode(kept.record).replace(b"SURROGATE", b"\\ud800"))
    thread.file.separator(b"\n")
    _write_with(thread, rb'"note":"\udc00\ud83d\ude00"')
    _write_with(thread, rb'"\udfff":1')
    kept = prompt(thread)
    write_entry(thread, kept, data=encode(kept.record).replace(b'"main"', rb'"ma\ud83din"'))
    thread.file.separator(b"\n")
    stage.close(thread)


def long_integer(stage: Stage) -> None:
    """H18: integers of 400 and of 5,000 digits, and one just above 64 bits."""
    thread = stage.thread()
    for digits in ("9" * 400, "-" + "8" * 5_000, str(2**64 + 1)):
        _write_with(thread, b'"count":' + digits.encode())
    stage.close(thread)


def extreme_numbers(stage: Stage) -> None:
    """H14: floats out of range, many digits, negative zero, exponents."""
    thread = stage.thread()
    for number in (b"1e400", b"-0.0", b"505.6863053138755", b"1E-9", b"0." + b"1" * 300):
        _write_with(thread, b'"retryInMs":' + number)
    stage.close(thread)


def nested_values(stage: Stage) -> None:
    """H18: 100 levels, more than any real record and fewer than any parser's limit."""
    thread = stage.thread()
    _write_with(thread, b'"input":' + b'{"a":[' * 50 + b"]}" * 50)
    stage.close(thread)


def numeric_keys(stage: Stage) -> None:
    """H12: a string spread into an object: 3,398 keys "0" to "3397", one character each."""
    thread = stage.thread()
    text = stage.world.library.prose.take(stage.dice, 3_398)[:3_398]
    kept = prompt(thread)
    kept.record["message"] = {str(index): letter for index, letter in enumerate(text)}
    del kept.record["origin"]
    write_entry(thread, replace(kept, is_human=False))
    thread.file.separator(b"\n")
    stage.close(thread)


def hostile_keys(stage: Stage) -> None:
    """H13: keys with dots, dollars, quotes, markup, whole questions, nothing at all."""
    thread = stage.thread()
    question = "Which of the two harbours should the timetable show first? " * 6
    keys = (
        "src/a.b.c.py",
        "$set",
        "",
        " ",
        'Task" >\n<parameter name="x',
        question,
        "läden",
        "__proto__",
    )
    _write_extra(thread, {"answers": dict.fromkeys(keys, "yes")})
    stage.close(thread)


def duplicate_keys(stage: Stage) -> None:
    """H18: a key that is there twice, promoted ones among them."""
    thread = stage.thread()
    _write_with(thread, b'"note":1,"note":"two"')
    _write_with(thread, b'"gitBranch":"main"')
    stage.close(thread)


def escaped_nul(stage: Stage) -> None:
    """H16: strings that hold an escaped NUL character."""
    thread = stage.thread()
    write_prompt(thread, "before\0after")
    _write_extra(thread, {"toolNote": "\0", "k\0y": 1})
    stage.close(thread)


def polymorphic_fields(stage: Stage) -> None:
    """H14: the same fields as string, object, array, number and null."""
    thread = stage.thread()
    shapes: tuple[Any, ...] = ("text", {"stdout": "ok"}, [{"type": "text", "text": "ok"}], 7, None)
    for shape in shapes:
        members = {"message": {"role": "user", "content": [_result(thread, shape)]}}
        tail = {"toolUseResult": shape}
        thread.chained("user", members, at=thread.session.later(1, 9), tail=tail)
        attached = {"attachment": {"type": "file", "content": shape, "prompt": shape}}
        thread.chained("attachment", attached, at=thread.session.later(1, 9))
    messages: tuple[Any, ...] = ([], "text", None, {"role": "user", "content": {"type": "text"}})
    for message in messages:
        thread.chained("user", {"message": message, "isMeta": True}, at=thread.session.later(1, 9))
    stage.truth.tool_results += len(shapes)
    stage.close(thread)


def _result(thread: Thread, shape: Any) -> Json:
    use = f"toolu_01{thread.session.dice.letters(22)}"
    return {"type": "tool_result", "tool_use_id": use, "content": shape}


def odd_envelopes(stage: Stage) -> None:
    """H14, H22: promoted fields of another type, missing, or unknown; types never seen before."""
    thread = stage.thread()
    odd: Json = {"version": 2, "gitBranch": None, "cwd": ["/"], "isSidechain": "no"}
    at = thread.session.later(1, 9)
    for number, members in enumerate(({"version": 2}, odd, {"timestamp": "yesterday"})):
        kept = thread.compose("holo-record", {"number": number}, at=at)
        kept.record.update(members)
        thread.write(kept)
    thread.state({"type": "future-state", "sessionId": thread.session.session_id, "value": [1]})
    thread.state({"value": "a record without type, uuid or session"})
    thread.state({})
    stage.close(thread)


def odd_timestamps(stage: Stage) -> None:
    """H18: timestamps with an offset, without milliseconds, as a number, out of any calendar."""
    thread = stage.thread()
    at = thread.session.later(1, 9)
    for value in (
        "2026-09-07T10:30:00+02:00",
        "2026-09-07T08:30:00Z",
        1_788_769_800_000,
        "",
        "2026-02-30T25:61:00Z",
    ):
        kept = thread.compose("system", {"subtype": "informational", "content": "x"}, at=at)
        kept.record["timestamp"] = value
        thread.write(kept)
    stage.close(thread)


def huge_line(stage: Stage) -> None:
    """H15: one line of 3 MiB, far above any buffer's chunk."""
    write_huge_line(stage, 3 * 1024 * 1024)


def write_huge_line(stage: Stage, size: int, *, limit: int | None = None) -> None:
    """Write a file of a small line, one entry of exactly ``size`` bytes, and a small line.

    Where ``size`` is above ``limit`` (MAX_LINE_BYTES) the line is to be quarantined as too long.
    """
    thread = stage.thread()
    write_prompt(thread)
    kept = prompt(thread, "")
    kept.record["message"]["content"] = ""
    kept.record["message"]["content"] = _filler(stage, size - len(encode(kept.record)))
    data = encode(kept.record)
    if limit is not None and size > limit:
        thread.file.damaged(data, reason="too_long")
    else:
        write_entry(thread, kept)
    thread.file.separator(b"\n")
    write_prompt(thread)
    stage.close(thread)


def _filler(stage: Stage, size: int) -> str:
    """Return ``size`` plain characters that need no escape and do not repeat too soon."""
    block = stage.dice.base64(min(size, 600_000) + 3)
    return (block * (size // len(block) + 1))[:size]


def state_only(stage: Stage) -> None:
    """H25: a file of state records alone, one without sessionId among them."""
    thread = stage.thread()
    named = {"sessionId": thread.session.session_id}
    thread.state({"type": "summary", "summary": "Tide tables", "leafUuid": stage.dice.uuid()})
    thread.state({"type": "mode", "mode": "normal", **named})
    thread.state({"type": "permission-mode", "permissionMode": "plan", **named})
    stage.close(thread)


def repeated_lines(stage: Stage) -> None:
    """H19: the same state line again and again: each is an entry, told apart by its offset."""
    thread = stage.thread()
    for _ in range(5):
        thread.state({"type": "ai-title", "aiTitle": "x", "sessionId": thread.session.session_id})
    stage.close(thread)


def other_alphabets(stage: Stage) -> None:
    """H24: texts, paths and keys in many scripts, some outside the basic plane."""
    thread = stage.thread()
    for text in (
        "Fähre nach Kühlungsborn",
        "潮汐表 と 港",
        "גאות ושפל",
        "🌊🧭 e\u0301\u200d\u2028",
        "\u0007\u001b[1m",
    ):
        write_prompt(thread, text)
    stage.close(thread)


VALUES = (
    lone_surrogate,
    long_integer,
    extreme_numbers,
    nested_values,
    numeric_keys,
    hostile_keys,
    duplicate_keys,
    escaped_nul,
    polymorphic_fields,
    odd_envelopes,
    odd_timestamps,
    huge_line,
    state_only,
    repeated_lines,
    other_alphabets,
)

__all__ = ["VALUES", "write_huge_line"]
