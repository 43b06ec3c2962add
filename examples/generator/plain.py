"""Many entries fast: sessions of short prompts and answers, all alike, with exact totals."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_PROJECTS = 40
_TEXT = "The tide comes in twice a day, and the harbor master writes down both times. " * 2
_HOUR = 3_600
_DAYS = 300
_DAY = 24 * _HOUR


@dataclass(frozen=True, slots=True)
class PlainTotals:
    """What :func:`write_plain` wrote: every answer is one API response with one tool call."""

    sessions: int
    entries: int
    responses: int
    input_tokens: int
    output_tokens: int


def write_plain(root: Path, *, sessions: int, entries: int) -> PlainTotals:
    """Write ``entries`` entries, shared by ``sessions`` sessions of one file each.

    Prompts and answers take turns. All sessions of a project are in one folder, and their days are
    spread over ten months. The tree depends on the arguments and on nothing else.
    """
    responses = input_tokens = output_tokens = 0
    for number in range(sessions):
        length = entries * (number + 1) // sessions - entries * number // sessions
        folder = root / f"-home-ada-src-plain-{number % _PROJECTS:02d}"
        folder.mkdir(parents=True, exist_ok=True)
        session = f"{number:08x}-0000-4000-8000-000000000000"
        with (folder / f"{session}.jsonl").open("w", encoding="utf-8") as file:
            file.writelines(_line(number, session, place) for place in range(length))
        answers = length // 2
        responses += answers
        input_tokens += sum(_input(place) for place in range(1, length, 2))
        output_tokens += sum(_output(place) for place in range(1, length, 2))
    return PlainTotals(sessions, entries, responses, input_tokens, output_tokens)


def _input(place: int) -> int:
    return 10 + place % 90


def _output(place: int) -> int:
    return 1 + place % 700


def _line(number: int, session: str, place: int) -> str:
    second = (number % _DAYS) * _DAY + place
    day, rest = divmod(second, _DAY)
    month, day = divmod(day, 28)
    year, month = divmod(month, 12)
    hour, minute, last = rest // _HOUR, rest % _HOUR // 60, rest % 60
    moment = f"{2025 + year}-{month + 1:02d}-{day + 1:02d}T{hour:02d}:{minute:02d}:{last:02d}.000Z"
    cwd = f"/home/ada/src/plain-{number % _PROJECTS:02d}"
    head = (
        f'"uuid":"{number:08x}-{place:08x}","parentUuid":null,"sessionId":"{session}",'
        f'"timestamp":"{moment}","cwd":"{cwd}","version":"2.0.14","isSidechain":false'
    )
    if place % 2 == 0:
        return f'{{"type":"user",{head},"message":{{"role":"user","content":"{_TEXT}"}}}}\n'
    name = f"{number:x}-{place:x}"
    usage = f'{{"input_tokens":{_input(place)},"output_tokens":{_output(place)}}}'
    content = (
        f'[{{"type":"text","text":"{_TEXT}"}},'
        f'{{"type":"tool_use","id":"toolu_{name}","name":"Read","input":{{"path":"tides.txt"}}}}]'
    )
    return (
        f'{{"type":"assistant","requestId":"req_{name}",{head},"message":{{"id":"msg_{name}",'
        '"type":"message","role":"assistant","model":"claude-sonnet-4-5-20250929",'
        f'"stop_reason":"tool_use","usage":{usage},"content":{content}}}}}\n'
    )
