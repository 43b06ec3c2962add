"""Where Claude Code keeps transcripts, and what a CLAUDE_DIR means (docs/specs/reader.md, R-08)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

CONFIG_DIR = "CLAUDE_CONFIG_DIR"
"""The variable that moves Claude Code's own folder; transcripts are in its ``projects``."""

_HOMES = ("~/.claude", "~/.config/claude")
_OWN_FILES = (
    "history.jsonl",
    "settings.json",
    "settings.local.json",
    ".credentials.json",
    ".claude.json",
    "CLAUDE.md",
    "todos",
    "statsig",
    "shell-snapshots",
    "file-history",
)
"""Names that tell Claude Code's own folder from any other that holds a folder ``projects``."""


def known_places(environment: Mapping[str, str]) -> tuple[Path, ...]:
    """Return every folder in which Claude Code keeps transcripts, whether it exists or not."""
    homes = tuple(map(os.path.expanduser, _HOMES))
    folders = (*_config_folders(environment), *homes)
    return tuple(dict.fromkeys(Path(folder, "projects") for folder in folders))


def _config_folders(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the folders that CLAUDE_CONFIG_DIR names.

    Tools beside Claude Code let it name several, with commas between them. A colon cannot be part
    of a root's name, so it separates them, too.
    """
    text = environment.get(CONFIG_DIR, "")
    is_one = os.path.isdir(os.path.expanduser(text))  # noqa: PTH111, PTH112 -- never raise
    lists = [text] if is_one else text.split(",")
    parts = (part.strip() for one in lists for part in one.split(os.pathsep))
    return tuple(os.path.expanduser(part) for part in parts if part)  # noqa: PTH111 -- as above


def default_roots(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the default of CLAUDE_DIR, joined as in ``PATH``.

    With CLAUDE_CONFIG_DIR its ``projects``; else those that exist of ``~/.claude/projects`` and
    ``~/.config/claude/projects``, and the first if neither does.
    """
    places = known_places(environment)
    if configured := len(_config_folders(environment)):
        return Path(os.pathsep.join(map(str, _apart(places[:configured]))))
    existing = [place for place in places if os.path.lexists(place)]
    return Path(os.pathsep.join(map(str, _apart(existing)))) if existing else places[0]


def missing_root_hint(root: Path, environment: Mapping[str, str] = os.environ) -> str:
    """Return what to do about a root that is not there, by the variable that names it."""
    places = known_places(environment)[: len(_config_folders(environment))]
    if any(root == Path(os.path.realpath(place)) for place in places):
        return f"Correct {CONFIG_DIR}, whose folder `projects` is read, or set CLAUDE_DIR."
    return "Set CLAUDE_DIR to the folder that holds the project folders, or mount it."


def _apart(places: Iterable[Path]) -> Iterator[Path]:
    """Yield places without those that lie in one before, as they really are."""
    real: list[Path] = []
    for place in places:
        here = Path(os.path.realpath(place))
        if not any(here.is_relative_to(other) or other.is_relative_to(here) for other in real):
            real.append(here)
            yield place


def resolve_root(root: Path) -> Path:
    """Return the folder of project folders that ``root`` means.

    Claude Code's own folder means its ``projects``, and a home folder the one in its ``.claude``.
    """
    for folder in (root, root / ".claude"):
        projects = folder / "projects"
        if projects.is_dir() and _is_own_folder(folder):
            return Path(os.path.realpath(projects))
    return root


def _is_own_folder(folder: Path) -> bool:
    return (
        folder.name == ".claude"
        or folder / "projects" in known_places(os.environ)
        or any(os.path.lexists(folder / name) for name in _OWN_FILES)
    )


def resolve_roots(roots: Iterable[Path]) -> tuple[Path, ...]:
    """Return the folders that the ``roots`` mean, each once."""
    return tuple(dict.fromkeys(map(resolve_root, roots)))


def root_notes(roots: Iterable[Path]) -> list[str]:
    """Return a sentence for each root that means another folder than it names."""
    return [
        f"CLAUDE_DIR={root} means {meant}, where its transcripts are"
        for root in roots
        if (meant := resolve_root(root)) != root
    ]


def holds_transcripts(place: Path) -> bool:
    """Return whether a folder has a transcript, or may not be looked into, as a whole or below."""
    if not place.exists():
        return False
    is_open = place.is_dir() and os.access(place, os.R_OK | os.X_OK)
    unlisted: list[OSError] = []
    has_files = not is_open or any(
        name.endswith(".jsonl") or os.path.islink(os.path.join(folder, name))  # noqa: PTH114, PTH118
        for folder, folders, files in os.walk(place, onerror=unlisted.append)
        for name in (*files, *(folders if folder == str(place) else ()))
    )
    return has_files or bool(unlisted)


def other_places(roots: Iterable[Path], environment: Mapping[str, str]) -> list[Path]:
    """Return known places with transcripts that are none of the ``roots``."""
    read = {os.path.realpath(root) for root in roots}
    return [
        place
        for place in known_places(environment)
        if os.path.realpath(place) not in read and holds_transcripts(place)
    ]
