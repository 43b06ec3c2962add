"""Small transcripts, record by record: only what the counting rules look at."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

Json = dict[str, Any]

SONNET = "claude-sonnet-4-5-20250929"
"""A model with a long-context band: 3 and 15 USD a million, above 200,000 tokens 6 and 22.50."""


def usage(input_tokens: int, output_tokens: int, **more: Any) -> Json:
    """Return a usage object; ``more`` are further fields as the transcript has them."""
    return {"input_tokens": input_tokens, "output_tokens": output_tokens, **more}


def message(message_id: str, counted: Json, *, model: str = SONNET, **more: Any) -> Json:
    """Return an API message; ``more`` are its content and stop reason."""
    return {"id": message_id, "role": "assistant", "model": model, "usage": counted, **more}


def record(session: str, kind: str, at: str, **more: Any) -> Json:
    """Return a chain record of ``session`` at ``at``, an ISO time without its date's zone."""
    identity = {"type": kind, "sessionId": session, "timestamp": f"{at}.000Z"}
    return {**identity, "cwd": "/src/annals", "version": "2.1.200", **more}


def assistant(session: str, at: str, said: Json, request: str | None = None, **more: Any) -> Json:
    """Return a row of an API response; ``request`` is the request id, which gateways leave out."""
    named = {} if request is None else {"requestId": request}
    return record(session, "assistant", at, message=said, **named, **more)


def user(session: str, at: str, content: Any, **more: Any) -> Json:
    """Return a user record."""
    return record(session, "user", at, message={"role": "user", "content": content}, **more)


def nested(session: str, at: str, said: Json, request: str | None = None) -> Json:
    """Return the progress record in which a main transcript repeats a subagent's message."""
    inner = {"type": "assistant", "timestamp": f"{at}.000Z", "message": said}
    if request is not None:
        inner["requestId"] = request
    late = (datetime.fromisoformat(at) + timedelta(seconds=9)).isoformat()
    return record(session, "progress", late, data={"type": "agent_progress", "message": inner})


@dataclass(frozen=True, slots=True)
class Transcript:
    """One file: its path below the watched folder, and its records or raw lines."""

    path: str
    lines: Sequence[Json | str]

    def write(self, root: Path) -> None:
        """Write the file below ``root``."""
        path = root / self.path
        path.parent.mkdir(parents=True, exist_ok=True)
        texts = (line if isinstance(line, str) else json.dumps(line) for line in self.lines)
        path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")


def main_file(session: str, *lines: Json | str, folder: str = "-src-annals") -> Transcript:
    """Return the main transcript of a session."""
    return Transcript(f"{folder}/{session}.jsonl", lines)


def agent_file(session: str, agent: str, lines: Iterable[Json | str]) -> Transcript:
    """Return the transcript of a subagent of a session."""
    return Transcript(f"-src-annals/{session}/subagents/agent-{agent}.jsonl", tuple(lines))
