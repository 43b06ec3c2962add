"""Where benchmarks keep their trees and states: ``benchmarks/data``, ignored by git, re-used."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import ROOT, Finished, python

DATA = Path(os.environ.get("BENCHMARK_DATA", ROOT / "benchmarks" / "data"))
"""Some gigabytes; may be deleted at any time."""

STAGES = ("sync", "extract", "load", "transform", "publish")


@dataclass(frozen=True, slots=True)
class Workspace:
    """A folder with transcripts and, apart from them, a state of the whole product."""

    folder: Path

    @classmethod
    def named(cls, name: str) -> Workspace:
        """Return the workspace ``name``, which may exist already."""
        folder = DATA / name
        folder.mkdir(parents=True, exist_ok=True)
        return cls(folder)

    @property
    def transcripts(self) -> Path:
        """The watched root."""
        return self.folder / "projects"

    @property
    def state(self) -> Path:
        """Everything the product writes."""
        return self.folder / "state"

    @property
    def environment(self) -> dict[str, str]:
        """The variables of a process that works in this workspace and nowhere else."""
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        return kept | {
            "HOME": str(self.folder),
            "CLAUDE_DIR": str(self.transcripts),
            "SQLITE_PATH": str(self.state / "buffer.db"),
            "ANNALS_HOME": str(self.state / "annals"),
            "TIMEZONE": "UTC",
        }

    def write(self, action: str, **numbers: int) -> None:
        """Write the transcripts again with an action of ``benchmarks.inputs``.

        Where they are there already, written by the same generator, they stay.
        """
        marker = self.folder / "written.json"
        wanted = json.dumps({action: numbers, "generator": _generator_digest()})
        if marker.exists() and marker.read_text() == wanted:
            return
        marker.unlink(missing_ok=True)
        shutil.rmtree(self.transcripts, ignore_errors=True)
        self.forget()
        self.change(action, **numbers)
        marker.write_text(wanted)

    def change(self, action: str, **numbers: int) -> None:
        """Change the transcripts with an action of ``benchmarks.inputs``; they stay usable."""
        words = [f"{name}={number}" for name, number in numbers.items()]
        self.python("-m", "benchmarks.inputs", str(self.transcripts), action, *words)

    def forget(self) -> None:
        """Remove the product's state."""
        shutil.rmtree(self.state, ignore_errors=True)

    def catch_up(self) -> None:
        """Bring a kept state up to date, whichever version of the product it is of.

        What can be rebuilt from the lake is thrown away where this version cannot read it.
        """
        try:
            self.command("pipeline", "--json")
        except RuntimeError:
            (self.state / "annals" / "analytics.db").unlink(missing_ok=True)
            shutil.rmtree(self.state / "annals" / "published", ignore_errors=True)
            self.command("pipeline", "--json")

    def stages(self, *names: str) -> Finished:
        """Run stages in one child; its last line of output is their reports and times."""
        return self.python("-m", "benchmarks.stages", *names)

    def command(self, *arguments: str) -> Finished:
        """Run the product's command line."""
        return self.python("-m", "analytics.cli", *arguments)

    def python(self, *arguments: str) -> Finished:
        """Run Python in this workspace."""
        return python(*arguments, environment=self.environment, folder=self.folder)

    def source_bytes(self) -> int:
        """Return the size of all transcripts."""
        return size_of(self.transcripts)


def size_of(folder: Path) -> int:
    """Return the bytes of all files below ``folder``; one with several links counts once."""
    if folder.is_file():
        return folder.stat().st_size
    found = {}
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            status = path.stat()
            found[status.st_ino] = status.st_size
    return sum(found.values())


def _generator_digest() -> str:
    digest = hashlib.sha256()
    for path in sorted((ROOT / "examples" / "generator").rglob("*.py")):
        digest.update(path.read_bytes())
    digest.update((ROOT / "benchmarks" / "inputs.py").read_bytes())
    return digest.hexdigest()[:16]
