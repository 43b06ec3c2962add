"""The records of a transcript as messages that people read: who said what, and which tools ran.

No record is left out: one that Annals does not know is a message of its type, without parts.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from operations.transcripts.assembly import FileRanges, ranges_of
from operations.transcripts.kept import Custody


class PartKind(StrEnum):
    """What a part of a message is."""

    TEXT = "text"
    THINKING = "thinking"
    TOOL_CALL = "tool_call"
    TOOL_RESULT = "tool_result"
    MEDIA = "media"


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a message.

    ``text`` is what it says: of a call the argument that tells most, of a result its output, of an
    image or a document its type. ``name`` is the tool of a call. ``tool_use_id`` ties a result to
    its call. ``input`` has all arguments of a call.
    """

    kind: PartKind
    text: str
    name: str = ""
    tool_use_id: str = ""
    is_error: bool = False
    input: Any = None


@dataclass(frozen=True, slots=True)
class Message:
    """One record; ``role`` is user, assistant, or the type of another record.

    ``file_key`` and ``byte_offset`` are its place; ``at`` is the record's own timestamp.
    ``is_meta``: a program wrote it on behalf of the person. ``raw`` are its exact bytes.
    """

    role: str
    at: str
    model: str
    message_id: str
    parts: tuple[Part, ...]
    is_meta: bool
    file_key: str
    byte_offset: int
    raw: bytes


_TELLING = (
    "command", "file_path", "notebook_path", "pattern", "description", "url", "query", "skill",
    "prompt", "path",
)  # fmt: skip
"""Arguments that say most about a call, the first that is there counts."""


def messages_of(
    custody: Custody, session: str, *, with_subagents: bool = False
) -> Iterator[Message]:
    """Yield the records of a session as messages: its main file, then those of its subagents.

    A quarantined range is a message of the type ``quarantine``.
    """
    for file in ranges_of(custody, session):
        if with_subagents or not is_subagent(file.file_key):
            yield from _messages(custody, file)


def is_subagent(file_key: str) -> bool:
    """Return whether a transcript is one of a subagent, which lie beside or below a session."""
    return file_key.rpartition("/")[2].startswith("agent-") or "/subagents/" in file_key


def _messages(custody: Custody, file: FileRanges) -> Iterator[Message]:
    contents = custody.contents(file.ranges)
    for kept, raw in zip(file.ranges, contents, strict=True):
        record = _parsed(raw) if kept.record_kind == "entry" else {"type": kept.record_kind}
        yield _message(record, file.file_key, kept.byte_offset, raw)


def _parsed(raw: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _message(record: Mapping[str, Any], file_key: str, offset: int, raw: bytes) -> Message:
    inner = record.get("message")
    body: Mapping[str, Any] = inner if isinstance(inner, dict) else {}
    role = body.get("role") or record.get("type")
    return Message(
        role=_as_text(role) or "unknown",
        at=_as_text(record.get("timestamp")),
        model=_as_text(body.get("model")),
        message_id=_as_text(body.get("id")),
        parts=tuple(_parts(body.get("content"))) or tuple(_other_parts(record)),
        is_meta=record.get("isMeta") is True or record.get("isCompactSummary") is True,
        file_key=file_key,
        byte_offset=offset,
        raw=raw,
    )


def _parts(content: Any) -> Iterator[Part]:
    blocks = content if isinstance(content, list) else [content]
    for block in blocks:
        if isinstance(block, str) and block.strip():
            yield Part(PartKind.TEXT, block)
        elif isinstance(block, dict):
            yield _part(block)


def _part(block: Mapping[str, Any]) -> Part:
    kind, tool = _as_text(block.get("type")), _as_text(block.get("tool_use_id") or block.get("id"))
    if kind.endswith("tool_use"):
        arguments = block.get("input")
        name = _as_text(block.get("name"))
        return Part(PartKind.TOOL_CALL, telling_argument(arguments), name, tool, input=arguments)
    if kind.endswith("tool_result"):
        is_error = block.get("is_error") is True
        text = "\n".join(_result_texts(block.get("content")))
        return Part(PartKind.TOOL_RESULT, text, tool_use_id=tool, is_error=is_error)
    if kind.endswith("thinking"):
        return Part(PartKind.THINKING, _as_text(block.get("thinking")))
    if isinstance(block.get("text"), str):
        return Part(PartKind.TEXT, block["text"])
    return Part(PartKind.MEDIA, kind or "unknown")


def _other_parts(record: Mapping[str, Any]) -> Iterator[Part]:
    """Yield what records without a message say: notices, prompts typed meanwhile, summaries."""
    attached = record.get("attachment")
    prompt = attached.get("prompt") if isinstance(attached, dict) else None
    for content in (record.get("content"), prompt, record.get("summary")):
        yield from _parts(content)


def telling_argument(arguments: Any) -> str:
    """Return the argument of a tool call that says most about it, empty where there is none."""
    if not isinstance(arguments, Mapping):
        return _as_text(arguments)
    known = [arguments.get(name) for name in _TELLING]
    texts = (value for value in [*known, *arguments.values()] if isinstance(value, str) and value)
    return next(texts, "")


def _result_texts(content: Any) -> Iterator[str]:
    """Yield the texts of a tool's result; other blocks are named by their type."""
    blocks: Sequence[Any] = content if isinstance(content, list) else [content]
    for block in blocks:
        if isinstance(block, str):
            yield block
        elif isinstance(block, dict):
            text = block.get("text")
            yield text if isinstance(text, str) else f"[{_as_text(block.get('type')) or 'unknown'}]"


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else ""
