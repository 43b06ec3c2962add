"""Tool calls and their results, one function for each tool."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from examples.generator.chain import Session
from examples.generator.dice import Quantiles
from examples.generator.tree import Json
from examples.generator.words import ADJECTIVES, NOUNS, VERBS

_OUTPUT: Quantiles = ((0.0, 20), (0.5, 240), (0.8, 1_100), (0.97, 6_500), (1.0, 28_000))
_SNIPPET: Quantiles = ((0.0, 40), (0.5, 240), (0.9, 1_100), (1.0, 5_000))
_DOCUMENT: Quantiles = ((0.0, 300), (0.5, 1_700), (0.9, 6_000), (1.0, 22_000))


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call as it will be written: its input, and both forms of its result.

    ``content`` is what the model sees, ``result`` the ``toolUseResult`` (None where absent).
    """

    name: str
    input: Json
    content: str | list[Json]
    result: Any
    is_error: bool = False


def draw_call(session: Session) -> Call:
    """Return a call of one of the tools, failed in a few cases."""
    call = session.dice.weighted(_TOOLS)(session)
    if session.dice.chance(0.05):
        text = "Error: " + session.world.library.output.take(session.dice, 120)
        return Call(call.name, call.input, text, text, is_error=True)
    return call


def _bash(session: Session) -> Call:
    dice, library = session.dice, session.world.library
    command = (
        f"{dice.pick(VERBS)} --{dice.pick(NOUNS)} {library.path(dice)} | head -{dice.below(90)}"
    )
    output = library.output.take(dice, dice.quantile(_OUTPUT))
    return Call(
        "Bash",
        {"command": command, "description": library.prose.take(dice, 40).strip()[:60]},
        output,
        {
            "stdout": output,
            "stderr": "",
            "interrupted": False,
            "isImage": False,
            "noOutputExpected": False,
        },
    )


def _read(session: Session) -> Call:
    path, text = session.source_file()
    lines = text.split("\n")
    return Call(
        "Read",
        {"file_path": path},
        numbered(lines),
        {
            "type": "text",
            "file": {
                "filePath": path,
                "content": text,
                "numLines": len(lines),
                "startLine": 1,
                "totalLines": len(lines),
            },
        },
    )


def _edit(session: Session) -> Call:
    dice, code = session.dice, session.world.library.code
    path, text = session.source_file()
    old, new = text[: dice.quantile(_SNIPPET)], code.take(dice, dice.quantile(_SNIPPET))
    old_lines, new_lines = old.split("\n"), new.split("\n")
    patch = {
        "oldStart": 1,
        "oldLines": len(old_lines),
        "newStart": 1,
        "newLines": len(new_lines),
        "lines": ["-" + line for line in old_lines] + ["+" + line for line in new_lines],
    }
    return Call(
        "Edit",
        {"file_path": path, "old_string": old, "new_string": new, "replace_all": False},
        f"The file {path} has been updated. Here is the result:\n{numbered(new_lines)}",
        {
            "filePath": path,
            "oldString": old,
            "newString": new,
            "originalFile": text if dice.chance(0.7) else None,
            "structuredPatch": [patch],
            "userModified": False,
            "replaceAll": False,
        },
    )


def _write(session: Session) -> Call:
    dice, library = session.dice, session.world.library
    path = session.project.path(library.path(dice))
    text = library.code.take(dice, dice.quantile(_DOCUMENT))
    return Call(
        "Write",
        {"file_path": path, "content": text},
        f"File created successfully at: {path}",
        {
            "type": "create",
            "filePath": path,
            "content": text,
            "structuredPatch": [],
            "originalFile": None,
        },
    )


def _grep(session: Session) -> Call:
    dice, library = session.dice, session.world.library
    output = library.output.take(dice, dice.quantile(_OUTPUT))
    paths = [library.path(dice) for _ in range(dice.between(1, 12))]
    return Call(
        "Grep",
        {"pattern": f"{dice.pick(VERBS)}_{dice.pick(NOUNS)}", "output_mode": "content", "-n": True},
        output,
        {
            "mode": "content",
            "numFiles": len(paths),
            "filenames": paths,
            "content": output,
            "numLines": output.count("\n"),
        },
    )


def _glob(session: Session) -> Call:
    dice, library = session.dice, session.world.library
    paths = [session.project.path(library.path(dice)) for _ in range(dice.between(1, 40))]
    result = {
        "filenames": paths,
        "durationMs": dice.between(4, 900),
        "numFiles": len(paths),
        "truncated": False,
    }
    return Call("Glob", {"pattern": f"**/*{dice.pick(NOUNS)}*"}, "\n".join(paths), result)


def _todo(session: Session) -> Call:
    dice = session.dice
    todos = [
        {
            "content": f"{dice.pick(VERBS)} the {dice.pick(ADJECTIVES)} {dice.pick(NOUNS)}",
            "status": dice.pick(("pending", "in_progress", "completed")),
            "activeForm": f"{dice.pick(VERBS)}ing {dice.pick(NOUNS)}",
        }
        for _ in range(dice.between(2, 7))
    ]
    done = "Todos have been modified successfully. Proceed with the current tasks if applicable"
    return Call("TodoWrite", {"todos": todos}, done, {"oldTodos": todos[:-1], "newTodos": todos})


def _fetch(session: Session) -> Call:
    dice, library = session.dice, session.world.library
    url = f"https://docs.example.org/{library.path(dice)}"
    text = library.prose.take(dice, dice.quantile(_DOCUMENT))
    result = {
        "bytes": len(text) * 7,
        "code": 200,
        "codeText": "OK",
        "result": text,
        "durationMs": dice.between(300, 9_000),
        "url": url,
    }
    return Call("WebFetch", {"url": url, "prompt": library.prose.take(dice, 60)}, text, result)


def _search(session: Session) -> Call:
    dice, library = session.dice, session.world.library
    query = f"{dice.pick(ADJECTIVES)} {dice.pick(NOUNS)} {dice.pick(VERBS)}"
    text = f'Web search results for query: "{query}"\n\n{library.prose.take(dice, 1_500)}'
    result = {
        "query": query,
        "results": [
            {
                "title": library.prose.take(dice, 40).strip(),
                "url": f"https://example.org/{library.path(dice)}",
            }
        ],
        "durationSeconds": dice.between(2_000, 30_000) / 1000,
    }
    return Call("WebSearch", {"query": query}, text, result)


def _mcp(session: Session) -> Call:
    dice, library = session.dice, session.world.library
    blocks = [{"type": "text", "text": library.output.take(dice, dice.quantile(_OUTPUT))}]
    return Call("mcp__atlas__lookup", {"query": dice.pick(NOUNS)}, blocks, blocks)


_TOOLS: tuple[tuple[Callable[[Session], Call], int], ...] = (
    (_bash, 44),
    (_read, 19),
    (_edit, 15),
    (_grep, 6),
    (_write, 4),
    (_glob, 3),
    (_todo, 4),
    (_mcp, 3),
    (_fetch, 1),
    (_search, 1),
)


def numbered(lines: list[str]) -> str:
    """Return the lines as the Read tool shows them: right-aligned number, arrow, text."""
    return "\n".join([f"{number:6d}→{line}" for number, line in enumerate(lines, 1)])
