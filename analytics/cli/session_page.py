"""``annals sessions show``: a conversation as text, Markdown or JSON, message by message."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import click

from analytics.cli.output import print_json_rows
from analytics.cli.tables import count, usd
from annals.errors import UsageError, WarehouseError
from annals.text import markdown, one_line
from operations.transcripts.messages import Message, Part, PartKind, is_subagent, messages_of

if TYPE_CHECKING:
    from analytics.cli.effective_settings import InForce
    from analytics.cli.session_options import ShowOptions
    from annals.settings import Settings
    from operations.transcripts.kept import Custody
    from reports.sessions import Session

_LINES_SHOWN = 12
"""Lines of a tool's result; those of people and models are whole."""

_TELLING_LENGTH = 200
_SPEAKERS = {"user": "you", "assistant": "agent"}
_COLOURS = {"user": "green", "assistant": "cyan"}


def show_session(found: InForce, options: ShowOptions) -> None:
    """Print a session in the form that is asked for; on a terminal through its pager."""
    from operations.transcripts.kept import open_custody

    if sum((options.as_json, options.as_markdown, options.raw)) > 1:
        raise UsageError("--json, --md and --raw exclude each other", hint="Give one of them.")
    with open_custody(found.settings) as custody:
        session = custody.session_named(options.session)
        messages = messages_of(custody, session, with_subagents=options.subagents)
        if options.raw:
            _print_raw(messages)
        elif options.as_json:
            rest = {"session": session, "sample": found.sample}
            print_json_rows("messages", map(_members, messages), rest)
        elif options.as_markdown:
            sys.stdout.writelines(_markdown_page(session, messages))
        else:
            _page(_text_page(found.settings, custody, session, messages, options))


def _print_raw(messages: Iterable[Message]) -> None:
    for message in messages:
        sys.stdout.buffer.write(message.raw + b"\n")
    sys.stdout.buffer.flush()


def _members(message: Message) -> dict[str, Any]:
    parts = [
        {"kind": part.kind.value, "text": part.text}
        | ({"name": part.name} if part.name else {})
        | ({"tool_use_id": part.tool_use_id} if part.tool_use_id else {})
        | ({"input": part.input} if part.kind is PartKind.TOOL_CALL else {})
        | ({"is_error": part.is_error} if part.kind is PartKind.TOOL_RESULT else {})
        for part in message.parts
    ]
    return {
        "role": message.role,
        "at": message.at or None,
        "model": message.model or None,
        "message_id": message.message_id or None,
        "is_meta": message.is_meta,
        "parts": parts,
        "file": message.file_key,
        "byte_offset": message.byte_offset,
    }


def _page(lines: Iterator[str]) -> None:
    """Print lines; a terminal gets them through the pager that its user has chosen."""
    if sys.stdout.isatty():
        click.echo_via_pager(lines)
    else:
        sys.stdout.writelines(map(click.unstyle, lines))


def _text_page(
    settings: Settings,
    custody: Custody,
    session: str,
    messages: Iterator[Message],
    options: ShowOptions,
) -> Iterator[str]:
    """Yield the lines of a session, each with its end; styled where it is a heading."""
    yield from _head(settings, session)
    shown = left_out = 0
    before: Message | None = None
    for message in messages:
        lines = list(_message_lines(message, full=options.full))
        if not lines:
            left_out += 1
            continue
        if before is None or not _goes_on(before, message):
            yield from _heading(message, before)
            before = message
        shown += 1
        yield from (f"  {line}\n" if line else "\n" for line in lines)
    yield f"\n{_counted(shown, 'record')} shown"
    yield f", {count(left_out)} of the program's own left out: --full\n" if left_out else "\n"
    others = 0 if options.subagents else _subagents(custody, session)
    if others:
        yield f"{_counted(others, 'transcript')} of subagents not shown: --subagents\n"


def _head(settings: Settings, session: str) -> Iterator[str]:
    """Yield what reports know of a session, if a build has it."""
    known = _published(settings, session)
    yield click.style(f"session {one_line(session)}", bold=True) + "\n"
    if known is None:
        return
    if known.title:
        yield one_line(known.title) + "\n"
    places = [known.project_name, known.git_branch and f"branch {known.git_branch}"]
    began = known.started_at and f"{known.started_at:%Y-%m-%d %H:%M} UTC"
    figures = [
        began,
        _counted(known.active_minutes, "minute"),
        _counted(known.human_turns, "prompt"),
        _counted(known.api_responses, "response"),
        _counted(known.tool_calls, "tool call"),
        _counted(known.total_tokens, "token"),
        usd(known.cost_usd),
    ]
    for words in (places, figures):
        if line := ", ".join(one_line(word) for word in words if word):
            yield f"{line}\n"


def _counted(number: int, noun: str) -> str:
    return f"{count(number)} {noun}" if number == 1 else f"{count(number)} {noun}s"


def _published(settings: Settings, session: str) -> Session | None:
    from loaders.warehouse import open_build
    from reports.sessions import find_session

    with contextlib.suppress(WarehouseError):
        build = open_build(settings, with_titles=True)
        with contextlib.closing(build):
            return find_session(build, session)
    return None


def _subagents(custody: Custody, session: str) -> int:
    return sum(map(is_subagent, custody.ranges(session)))


def _speaker(message: Message) -> str:
    """Return who speaks: results of tools come in records of the user's role."""
    kinds = {part.kind for part in message.parts}
    if message.role == "user" and kinds == {PartKind.TOOL_RESULT}:
        return "assistant"
    return message.role


def _goes_on(before: Message, message: Message) -> bool:
    """Return whether a message needs no heading: the same speaks on, or its tools answer."""
    is_same = (_speaker(before), before.file_key) == (_speaker(message), message.file_key)
    return is_same and message.model in ("", before.model)


def _heading(message: Message, before: Message | None) -> Iterator[str]:
    is_new_file = before is not None and before.file_key != message.file_key
    if is_new_file and is_subagent(message.file_key):
        yield "\n" + click.style(f"subagent {one_line(message.file_key)}", bold=True) + "\n"
    colour = _COLOURS.get(_speaker(message))
    yield "\n" + click.style(one_line(_heading_text(message)), fg=colour, bold=True) + "\n"


def _heading_text(message: Message) -> str:
    """Return who speaks, with which model, and when, such as ``agent (claude-x)  2026-...``."""
    role = _speaker(message)
    model = f" ({message.model})" if message.model else ""
    return f"{_SPEAKERS.get(role, role)}{model}  {message.at[:19].replace('T', ' ')}".rstrip()


def _message_lines(message: Message, *, full: bool) -> Iterator[str]:
    is_said = message.role in _SPEAKERS and not message.is_meta
    if not (is_said or full):
        return
    if full and not message.parts:
        yield f"[{one_line(message.role)}]"
    for part in message.parts:
        yield from _part_lines(part, full=full)


def _part_lines(part: Part, *, full: bool) -> Iterator[str]:
    if part.kind is PartKind.TEXT:
        yield from _lines_of(part.text)
    elif part.kind is PartKind.THINKING:
        yield from (f"~ {line}" for line in _lines_of(part.text) if full)
    elif part.kind is PartKind.TOOL_CALL:
        yield f"> {one_line(part.name)}  {_shortened(part.text, full=full)}".rstrip()
    elif part.kind is PartKind.TOOL_RESULT:
        yield from _result_lines(part, full=full)
    else:
        yield f"[{one_line(part.text)}]"


def _result_lines(part: Part, *, full: bool) -> Iterator[str]:
    lines = list(_lines_of(part.text))
    mark = "! " if part.is_error else "< "
    shown = lines if full else lines[:_LINES_SHOWN]
    yield from (mark + line for line in shown)
    if left := len(lines) - len(shown):
        yield f"{mark}... {count(left)} more lines: --full"


def _shortened(text: str, *, full: bool) -> str:
    line = one_line(text)
    return line if full or len(line) <= _TELLING_LENGTH else f"{line[:_TELLING_LENGTH]}..."


def _lines_of(text: str) -> Iterator[str]:
    """Yield the lines of a text; none of them can drive a terminal."""
    yield from (one_line(line.expandtabs(4)).rstrip() for line in text.strip("\n").split("\n"))


def _markdown_page(session: str, messages: Iterable[Message]) -> Iterator[str]:
    """Yield a session as Markdown: texts escaped, so that they show as they are; tools as code."""
    yield f"# Session {markdown(session)}\n"
    before: Message | None = None
    for message in messages:
        parts = [part for part in message.parts if part.kind is not PartKind.THINKING]
        if message.role not in _SPEAKERS or message.is_meta or not parts:
            continue
        if before is None or not _goes_on(before, message):
            yield f"\n## {markdown(_heading_text(message))}\n"
            before = message
        for part in parts:
            yield "\n" + "".join(_markdown_lines(part))


def _markdown_lines(part: Part) -> Iterator[str]:
    if part.kind is PartKind.TEXT:
        yield from (f"{markdown(line)}  \n" if line else "\n" for line in _lines_of(part.text))
    else:
        yield from (f"    {line}\n" for line in _part_lines(part, full=False))
