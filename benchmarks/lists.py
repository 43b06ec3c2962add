"""Lists of a long history: the memory that printing them takes."""

from __future__ import annotations

import shutil

from benchmarks.figures import Figure
from benchmarks.processes import ROOT
from benchmarks.workspaces import Workspace

_SESSIONS = 300_000
_MOST_MIB = 200.0


def lists() -> list[Figure]:
    """Measure the lists of sessions on a published build of 300,000 sessions."""
    space = Workspace.named("many-sessions")
    current = space.state / "annals" / "published" / "current"
    if not current.resolve().name.endswith(f"{_SESSIONS:08d}"):
        space.forget()
        shutil.rmtree(space.transcripts, ignore_errors=True)
        shutil.copytree(ROOT / "examples" / "transcripts", space.transcripts)
        space.command("pipeline", "--json")
        space.python("-m", "benchmarks.many_sessions", str(_SESSIONS))
    figures = []
    for words in (
        ("usage", "session", "--json"),
        ("usage", "session"),
        ("sessions", "list", "--json"),
        ("sessions", "list", "--all"),
    ):
        run = space.command(*words)
        peak = round(run.peak_bytes / 2**20, 1)
        detail = run.facts() | {"output_bytes": run.output_bytes, "sessions": _SESSIONS}
        figures.append(Figure("lists", " ".join(words), peak, "MiB", _MOST_MIB, detail=detail))
    return figures
