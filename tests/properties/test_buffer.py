"""The buffer against a model of it: commits, crashes, acknowledgements and pruning in any order."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from annals.buffer.schema import FILE_COLUMNS, RECORD_COLUMNS
from sync_agent.buffer.fingerprints import EMPTY_SUM
from sync_agent.buffer.pruning import prune
from sync_agent.buffer.rows import FileRow, Location
from sync_agent.buffer.store import Buffer, RecordRow, open_buffer

LARGE = 5 * 1024 * 1024
OLD, YOUNG = 1_000_000, 1 << 60
raws = st.binary(max_size=300)


def record(raw: bytes, ingested_at: int) -> RecordRow:
    """Return the values of one record."""
    none = (None,) * 10
    return (b"id", "entry", 1, 0, 7, len(raw), "s", *none, ingested_at, *none[:3], raw)


class Buffers(RuleBasedStateMachine):
    """What is committed stays until all have it; what is not committed is as if never given."""

    @initialize()
    def begin(self) -> None:
        """Open a new buffer with one location and one consumer."""
        self.folder = Path(tempfile.mkdtemp())
        self.path = self.folder / "buffer.db"
        self.open = contextlib.ExitStack()
        self.buffer = self._opened()
        self.buffer.add_location(Location(1, "h", b"/r", "p", "/r/p/k", "k", b"k", b"/r/p/k"))
        self.buffer.commit()
        self.queue: list[RecordRow] = []
        self.kept: dict[int, RecordRow] = {}
        self.given = 0
        self.pruned = 0
        self.acknowledged: dict[str, int] = {}
        self.queued_file: FileRow | None = None
        self.file: FileRow | None = None

    @rule(raw=raws, is_old=st.booleans(), is_large=st.integers(0, 19).map(lambda die: die == 0))
    def add(self, raw: bytes, is_old: bool, is_large: bool) -> None:
        """Queue a record, with the position of its file after it."""
        row = record(raw + bytes(LARGE) if is_large else raw, OLD if is_old else YOUNG)
        self.buffer.add_record(row)
        self.queue.append(row)
        self.queued_file = self._row(self.given + len(self.queue))
        self.buffer.put_file(self.queued_file)

    @rule()
    def commit(self) -> None:
        """Write the queue, and use the buffer once more: only then a long one is durable."""
        self.buffer.commit()
        assert not self.buffer.connection.in_transaction
        for row in self.queue:
            self.given += 1
            self.kept[self.given] = row
        self.queue = []
        self.file, self.queued_file = self.queued_file or self.file, None

    @rule()
    def crash(self) -> None:
        """Lose the process: the queue is gone, the file is opened again."""
        self.open.close()
        self.buffer = self._opened()
        self.queue, self.queued_file = [], None

    @rule(rows=st.lists(raws, min_size=1, max_size=3))
    def crash_while_writing(self, rows: list[bytes]) -> None:
        """Lose the process in the middle of a transaction, after it has written rows."""
        self.buffer.connection.execute("begin immediate")
        for raw in rows:
            row = record(raw, OLD)
            places = ",".join("?" * len(row))
            statement = f"insert into records ({RECORD_COLUMNS}) values ({places})"
            self.buffer.connection.execute(statement, row)
        self.crash()

    @rule(name=st.sampled_from(["lake", "mongo"]), share=st.floats(0, 1))
    def acknowledge(self, name: str, share: float) -> None:
        """Let a consumer say, through a connection of its own, how far it has everything."""
        seq = max(self.acknowledged.get(name, 0), int(share * self.given))
        self.acknowledged[name] = seq
        with contextlib.closing(sqlite3.connect(self.path)) as other, other:
            other.execute("insert or replace into consumers values (?, ?, 0)", (name, seq))

    @rule(days=st.sampled_from([0.0, 1.0, 30_000.0]))
    def prune(self, days: float) -> None:
        """Prune; the model drops the oldest records that all have and that are old enough."""
        prune(self.buffer, retention_days=days)
        through = min(self.acknowledged.values(), default=0)
        for seq in sorted(self.kept):
            if seq > through or self.kept[seq][-2] == YOUNG or days > 19_000:
                break
            del self.kept[seq]
            self.pruned = seq

    @invariant()
    def equals_model(self) -> None:
        """Compare records, position and counters with the model."""
        if not hasattr(self, "buffer"):
            return
        with contextlib.closing(sqlite3.connect(self.path)) as reader:
            rows = reader.execute(f"select seq, {RECORD_COLUMNS} from records order by seq")
            is_equal = {row[0]: row[1:] for row in rows} == self.kept
            assert is_equal, "records differ"  # shown in full, megabytes would be printed
            files = reader.execute(f"select {FILE_COLUMNS} from files").fetchall()
            assert files == ([self.file] if self.file else [])
            last = reader.execute("select seq from sqlite_sequence").fetchone()
            assert (last or (0,))[0] == self.given
            (pruned,) = reader.execute(
                "select value from meta where key = 'pruned_through'"
            ).fetchone()
            assert pruned == self.pruned

    def teardown(self) -> None:
        """Close and remove the buffer."""
        if hasattr(self, "open"):
            self.open.close()
            shutil.rmtree(self.folder)

    def _opened(self) -> Buffer:
        return self.open.enter_context(open_buffer(self.path))

    def _row(self, offset: int) -> FileRow:
        empty = FileRow(
            1, 1, 2, 3, 0, None, None, 0, b"", 0, b"", "active", 0, 0, 0, 0, 0, EMPTY_SUM
        )
        return empty._replace(offset=offset)


Buffers.TestCase.settings = settings(max_examples=60, stateful_step_count=15, deadline=None)
TestBuffers = Buffers.TestCase
