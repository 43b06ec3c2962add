"""``.env.example`` and docs/reference, written from the code.

``python -m analytics.cli.reference`` writes the files; tests compare them with what it would write.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from analytics.cli.app import app
from annals import errors
from annals.errors import AnalyticsError
from annals.settings.template import env_example, settings_reference, stack_env_example

_WIDTH = 88

_COMMANDS_HEAD = """\
# Commands

Written from the command tree; do not edit by hand (`make reference`).

`annals` is `python -m analytics.cli`. Data goes to standard output and everything else to standard
error; with `--json` an error is one JSON object there (`error`, `message`, `hint`, `context`,
`exit_code`). Every JSON object has a `schema_version`. The exit codes are in
[exit-codes.md](exit-codes.md), the settings in [settings.md](settings.md).

**The sample.** If nobody names a `CLAUDE_DIR`, `~/.claude/projects` holds no transcript and
nothing was ever kept on this machine, every command works on the bundled sample, with its state in
`ANNALS_HOME/sample`; it says so on standard error, and as `sample` in its JSON.
"""

_EXIT_CODES_HEAD = """\
# Exit codes

Written from the error classes; do not edit by hand (`make reference`).

| code | error | meaning | retry |
|---|---|---|---|
| 0 | | the command did what it was asked | |
"""

_EXIT_CODES_FOOT = """\
| 130 | | interrupted (Ctrl-C); what was committed is kept | yes |

"Retry: yes" means that the same command may succeed later by itself, "no" that a person has to act
first; where there is neither, the message says.
"""


_GOLD_HEAD = """\
# The tables of gold

Written from the contracts of the dbt models; do not edit by hand (`make reference`). How to open a
build: [builds.md](builds.md).
"""

_HEALTH_HEAD = """\
# Health endpoints of the agent

Written from the code; do not edit by hand (`make reference`).

`annals sync run` answers on `HEALTH_HOST` (127.0.0.1) and `HEALTH_PORT` (9090; 0 for none). Where
the port is taken it says so and reads all the same. Nothing here changes anything, and no answer
holds a line of a transcript or the path of a folder.
"""


def files(root: Path) -> dict[Path, str]:
    """Return the text of every generated file by its path below ``root``."""
    reference = root / "docs" / "reference"
    return {
        root / ".env.example": env_example(),
        root / ".env.analytics.example": stack_env_example(),
        reference / "settings.md": settings_reference(),
        reference / "commands.md": commands_reference(),
        reference / "exit-codes.md": exit_codes_reference(),
        reference / "health.md": health_reference(),
        root / "docs" / "data" / "gold.md": gold_reference(root / "dbt" / "models" / "marts"),
    }


def commands() -> Iterator[tuple[str, Any]]:
    """Yield each command that does something: its full name and the parser's own object."""
    yield from _leaves("annals", typer.main.get_command(app))


def commands_reference() -> str:
    """Return docs/reference/commands.md: the help text of every command."""
    root = typer.main.get_command(app)
    parts = [_COMMANDS_HEAD, _section("annals", root)]
    parts += [_section(name, command) for name, command in commands()]
    return "\n".join(parts)


def exit_codes_reference() -> str:
    """Return docs/reference/exit-codes.md: a row for each class of the error tree."""
    rows = "".join(_row(kind) for kind in sorted(_classes(AnalyticsError), key=_by_code))
    return _EXIT_CODES_HEAD + rows + _EXIT_CODES_FOOT


def health_reference() -> str:
    """Return docs/reference/health.md: endpoints, members of ``/health``, metrics."""
    from sync_agent.agent.health import ENDPOINTS, MEMBERS
    from sync_agent.agent.metrics import METRICS

    parts = [_HEALTH_HEAD, "| endpoint | |\n|---|---|"]
    for name, answer in ENDPOINTS.items():
        parts.append(f"| `{name}` | {(answer.__doc__ or '').removesuffix('.')} |")
    parts.append("\n## Members of `/health`\n\n| member | meaning |\n|---|---|")
    parts += [f"| `{name}` | {meaning} |" for name, meaning in MEMBERS.items()]
    parts.append("\n## Metrics\n\n| metric | kind | meaning |\n|---|---|---|")
    parts += [f"| `{one.name}` | {one.kind} | {one.meaning.removesuffix('.')} |" for one in METRICS]
    return "\n".join(parts) + "\n"


def gold_reference(models: Path) -> str:
    """Return docs/data/gold.md: each table of gold with its columns, from the contracts."""
    import yaml  # type: ignore[import-untyped]

    parts = [_GOLD_HEAD]
    for path in sorted(models.glob("[!_]*.yml")):
        for model in yaml.safe_load(path.read_text(encoding="utf-8"))["models"]:
            parts.append(f"## {model['name']}\n\n{model['description'].strip()}\n")
            parts.append("| column | type | meaning |\n|---|---|---|")
            parts += [
                f"| `{one['name']}` | {one['data_type']} | {' '.join(one['description'].split())} |"
                for one in model["columns"]
            ]
            parts.append("")
    return "\n".join(parts)


def _leaves(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    for child_name, child in sorted(getattr(command, "commands", {}).items()):
        full_name = f"{name} {child_name}"
        if hasattr(child, "commands"):
            yield from _leaves(full_name, child)
        else:
            yield full_name, child


def _section(name: str, command: Any) -> str:
    context = command.make_context(
        name,
        [],
        resilient_parsing=True,
        terminal_width=_WIDTH,
        max_content_width=_WIDTH,
        help_option_names=["-h", "--help"],
    )
    return f"## {name}\n\n```text\n{command.get_help(context)}\n```\n"


def _classes(root: type[AnalyticsError]) -> Iterator[type[AnalyticsError]]:
    yield root
    for kind in root.__subclasses__():
        if kind.__module__ == errors.__name__:
            yield from _classes(kind)


def _by_code(kind: type[AnalyticsError]) -> tuple[int, str]:
    return kind.exit_code, kind.__name__


def _row(kind: type[AnalyticsError]) -> str:
    meaning = (kind.__doc__ or "").splitlines()[0].rstrip(".")
    meaning = "Anything else that went wrong" if kind is AnalyticsError else meaning
    retry = "yes" if issubclass(kind, errors.Transient) else ""
    retry = "no" if issubclass(kind, errors.Terminal) else retry
    return f"| {kind.exit_code} | `{kind.__name__}` | {meaning} | {retry} |\n"


def write(root: Path) -> None:
    """Write every generated file below ``root``."""
    for path, text in files(root).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        sys.stdout.write(f"{path.relative_to(root)}\n")


if __name__ == "__main__":
    write(Path(__file__).resolve().parents[2])
