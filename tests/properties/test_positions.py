"""Files that are appended to, cut, replaced, moved and deleted, with a sync after each step."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import defaultdict
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from annals.records.identity import entry_id
from sync_agent.reading.reader import Reader
from tests.properties.hostile import contents, objects
from tests.sync_agent.places import Kept, Place, assert_balanced, stamp

PROJECTS = ("-a", "-b")
KEYS = ("one.jsonl", "two.jsonl", "one/subagents/agent-1.jsonl")
paths = st.builds("{}/{}".format, st.sampled_from(PROJECTS), st.sampled_from(KEYS))


def entries_of(data: bytes) -> list[tuple[int, bytes]]:
    """Return offset and bytes of every entry that one reading of ``data`` finds."""
    reader = Reader(
        lambda length, offset: data[offset : offset + length],
        position=0,
        limit=len(data),
        max_line_bytes=1 << 30,
    )
    return [(found.offset, bytes(found.raw)) for found in reader if found.envelope]


class Files(RuleBasedStateMachine):
    """Nothing invented, nothing lost, every byte accounted for, whatever happens to the files."""

    @initialize()
    def begin(self) -> None:
        """Start with an empty root."""
        self.folder = Path(tempfile.mkdtemp())
        self.place = Place(self.folder)
        self.versions: dict[bytes, set[bytes]] = defaultdict(set)

    @rule(path=paths, data=contents)
    def append(self, path: str, data: bytes) -> None:
        """Append to a file, or begin it."""
        target = self._target(path)
        with target.open("ab") as file:
            file.write(data)
        stamp(target)

    @rule(path=paths, lines=st.lists(objects, min_size=1, max_size=4))
    def append_lines(self, path: str, lines: list[bytes]) -> None:
        """Append whole lines."""
        self.append(path, b"".join(line + b"\n" for line in lines))

    @rule(path=paths, share=st.floats(0, 1))
    def cut(self, path: str, share: float) -> None:
        """Shorten a file where it lies."""
        target = self._target(path)
        if target.exists():
            os.truncate(target, int(target.stat().st_size * share))
            stamp(target)

    @rule(path=paths, data=contents)
    def replace(self, path: str, data: bytes) -> None:
        """Put another file in the place of one."""
        target = self._target(path)
        new = target.with_suffix(".tmp")  # ignored by the listing, as editors' files are
        new.write_bytes(data)
        stamp(new)
        new.replace(target)

    @rule(path=paths, at=st.floats(0, 1), data=st.binary(min_size=1, max_size=8))
    def overwrite(self, path: str, at: float, data: bytes) -> None:
        """Write over bytes in the middle; the size may stay the same."""
        target = self._target(path)
        if target.exists():
            with target.open("r+b") as file:
                file.seek(int(at * target.stat().st_size))
                file.write(data)
            stamp(target)

    @rule(path=paths)
    def touch(self, path: str) -> None:
        """Change nothing but the time."""
        target = self._target(path)
        if target.exists():
            stamp(target)

    @rule(path=paths, to=paths)
    def move(self, path: str, to: str) -> None:
        """Rename a file, over another one perhaps."""
        source = self._target(path)
        if source.exists():
            source.rename(self._target(to))

    @rule(path=paths, to=paths)
    def copy(self, path: str, to: str) -> None:
        """Copy a file with its times, as a backup or a restore does."""
        source, target = self._target(path), self._target(to)
        if source.exists() and source != target:
            shutil.copy2(source, target)

    @rule(path=paths)
    def delete(self, path: str) -> None:
        """Delete a file."""
        self._target(path).unlink(missing_ok=True)

    @invariant()
    def holds(self) -> None:
        """Sync, then compare the buffer with every version of every file there ever was."""
        if not hasattr(self, "place"):
            return
        present = {path: path.read_bytes() for path in self.place.root.rglob("*.jsonl")}
        for path, data in present.items():
            self.versions[self._key(path)].add(data)
        report = self.place.sync()
        assert report.files_seen == len(present)
        kept = self.place.kept("entry")
        self._check_nothing_invented(kept)
        ids = [entry.entry_id for entry in kept]
        for path, data in present.items():
            key = self._key(path)
            for offset, raw in entries_of(data):
                assert entry_id(key, offset, raw) in ids
        custody = self.place.custody()
        assert_balanced(custody)
        assert custody.files == len(present)
        assert custody.bytes_on_disk == sum(map(len, present.values()))
        assert custody.entries == sum(len(entries_of(data)) for data in present.values())
        active = self.place.query(
            "select path_bytes from files join locations using (location_id) where state = 'active'"
        )
        assert sorted(path for (path,) in active) == sorted(map(os.fsencode, present))
        again = self.place.sync()
        assert (again.bytes_read, again.entries_new, again.files_vanished) == (0, 0, 0)

    def teardown(self) -> None:
        """Remove the folder."""
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder)

    def _check_nothing_invented(self, kept: list[Kept]) -> None:
        for entry in kept:
            assert entry.entry_id == entry_id(entry.key, entry.offset, entry.raw)
            end = entry.offset + len(entry.raw)
            assert any(data[entry.offset : end] == entry.raw for data in self.versions[entry.key])

    def _target(self, path: str) -> Path:
        target = self.place.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        return target

    def _key(self, path: Path) -> bytes:
        _, _, key = str(path.relative_to(self.place.root)).partition("/")
        return os.fsencode(key)


Files.TestCase.settings = settings(max_examples=60, stateful_step_count=12, deadline=None)
TestFiles = Files.TestCase
