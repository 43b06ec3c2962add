"""A small state of its own: transcripts, buffer and lake, made by the stages themselves."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from annals.settings import Settings
from flows import stages
from tests.extractors.lakes import ids

FOLDERS = ("projects", "state")


@dataclass(slots=True)
class Place:
    """Folders below ``root``, and how many entries were written so far."""

    root: Path
    entries: int = 0

    @property
    def settings(self) -> Settings:
        """The settings of this place."""
        state = self.root / "state"
        return Settings(
            _env_file=None,
            annals_home=state,
            sqlite_path=state / "buffer.db",
            claude_dir=self.root / "projects",
            timezone="UTC",
            host_name="laptop",
        )

    @property
    def transcript(self) -> Path:
        """The only transcript."""
        return self.root / "projects" / "-home-dev" / "s.jsonl"

    def write(self, count: int) -> None:
        """Append entries to the transcript."""
        self.transcript.parent.mkdir(parents=True, exist_ok=True)
        with self.transcript.open("a", encoding="utf-8") as file:
            for _ in range(count):
                self.entries += 1
                file.write(json.dumps({"type": "user", "uuid": f"u{self.entries}"}) + "\n")

    def land(self) -> None:
        """Read, extract and load."""
        stages.sync(self.settings)
        stages.extract(self.settings)
        stages.load(self.settings)

    def copy(self, root: Path) -> Place:
        """Return a copy of this place; its lake still names the first one's folder."""
        for name in FOLDERS:
            shutil.copytree(self.root / name, root / name, symlinks=True)
        return Place(root, self.entries)

    def lake_files(self) -> list[Path]:
        """Return every file of the lake."""
        return sorted(path for path in self.settings.lake_folder.rglob("*") if path.is_file())

    def data_files(self) -> list[Path]:
        """Return the data files of the lake."""
        return sorted(self.settings.lake_folder.rglob("*.parquet"))

    def ids(self) -> set[str]:
        """Return the ids of all records in the lake."""
        return set(ids(self.settings))
