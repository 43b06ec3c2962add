"""The positions protocol against random actions (docs/specs/positions.md).

Buffers are read, extracted, pruned, copied and put back from copies; lakes are rolled back, and
other programs commit to them; extractors overtake each other. Whatever happens, no record that was
once deleted from a buffer may be missing from the lake, and in the end none at all.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from annals.errors import ConflictError
from annals.settings import Settings, load_settings
from annals.telemetry import NO_PROGRESS
from extractors.extract import Extraction, Tally, extract, prepare
from extractors.lake import Lake, open_lake
from tests.extractors.buffers import Buffer
from tests.extractors.lakes import commit_as_another_program, ids, roll_back

REACH = 3
EXAMPLES = int(os.environ.get("POSITIONS_EXAMPLES", "12"))
MACHINES = st.integers(0, 1)


class Positions(RuleBasedStateMachine):
    """Two machines at most: the second one's buffer begins as a copy of the first one's."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="positions-"))
        self.buffers = [Buffer(self.folder / "buffer-0.db")]
        self.promised: set[str] = set()
        self.plan: tuple[Lake, Extraction] | None = None
        self.saved: Buffer | None = None
        self.floor = 0

    def settings(self, machine: int) -> Settings:
        """Return the settings of a machine; both write to one lake."""
        return load_settings(
            sqlite_path=self.buffer(machine).path,
            annals_home=self.folder / "lake",
            rollback_snapshots=REACH,
        )

    def buffer(self, machine: int) -> Buffer:
        """Return a machine's buffer; before there is a second machine, the first one's."""
        return self.buffers[min(machine, len(self.buffers) - 1)]

    def held(self, buffer: Buffer) -> set[str]:
        """Return the ids of the records that a buffer holds."""
        return {entry_id.hex() for (entry_id,) in buffer.execute("select entry_id from records")}

    @initialize()
    def begin(self) -> None:
        """Begin with a lake that has something in it."""
        self.buffers[0].append_entries(1)
        extract(self.settings(0))

    @rule(machine=MACHINES, count=st.integers(1, 3), own=st.booleans())
    def read(self, machine: int, count: int, own: bool) -> None:
        """Read new records: such as another machine reads too, or of this machine alone."""
        buffer = self.buffer(machine)
        if own:
            name = f"{machine}-{buffer.offset}".encode()
            buffer.append([name + b"-%d" % number for number in range(count)])
        else:
            buffer.append_entries(count)

    @rule(machine=MACHINES)
    def extract(self, machine: int) -> None:
        """Extract: afterwards the lake has all that this buffer holds."""
        extract(self.settings(machine))
        self.note_floor()
        assert self.held(self.buffer(machine)) <= set(ids(self.settings(machine)))

    @rule(machine=MACHINES)
    def backfill(self, machine: int) -> None:
        """Backfill: the same, and no id is appended a second time."""
        before = ids(self.settings(machine))
        extract(self.settings(machine), full_backfill=True)
        self.note_floor()
        after = ids(self.settings(machine))
        assert self.held(self.buffer(machine)) <= set(after)
        assert max((after - before).values(), default=1) == 1

    @precondition(lambda self: self.plan is None)
    @rule(machine=MACHINES)
    def plan_extraction(self, machine: int) -> None:
        """Let an extractor read cursor and buffer, and then be slow."""
        lake = open_lake(self.settings(machine))
        self.plan = lake, prepare(self.settings(machine), lake)

    @precondition(lambda self: self.plan is not None)
    @rule()
    def finish_extraction(self) -> None:
        """Let the slow extractor go on: it commits what it planned, or meets a conflict."""
        assert self.plan
        lake, extraction = self.plan
        self.plan = None
        with lake, contextlib.suppress(ConflictError):
            extraction.run(Tally(), NO_PROGRESS)
        self.note_floor()

    @rule(machine=MACHINES)
    def prune(self, machine: int) -> None:
        """Delete what every consumer has acknowledged, as the sync agent does."""
        before = self.held(self.buffer(machine))
        self.buffer(machine).prune()
        self.promised |= before - self.held(self.buffer(machine))

    @precondition(lambda self: self.saved is None)
    @rule()
    def save(self) -> None:
        """Somebody copies the first machine's buffer."""
        self.saved = self.buffers[0].copy(self.folder / "saved.db")

    @precondition(lambda self: self.saved is not None)
    @rule()
    def restore(self) -> None:
        """Somebody puts the older copy back."""
        assert self.saved
        path = self.buffers[0].path
        for suffix in ("-wal", "-shm"):
            Path(f"{path}{suffix}").unlink(missing_ok=True)
        self.saved.path.replace(path)
        offset, self.saved = self.saved.offset, None
        self.buffers[0] = Buffer(path)
        self.buffers[0].offset = offset

    @precondition(lambda self: len(self.buffers) == 1)
    @rule()
    def clone(self) -> None:
        """Begin a second machine with a copy of the first one's buffer."""
        self.buffers.append(self.buffers[0].copy(self.folder / "buffer-1.db"))

    @rule(data=st.data())
    def roll_back(self, data: st.DataObject) -> None:
        """Go back to a snapshot that may still be reached and carries a cursor itself."""
        with open_lake(self.settings(0)) as lake:
            snapshots = lake.snapshots()
            at = lake.snapshot_id
        kept = {snapshot.snapshot_id: snapshot for snapshot in snapshots}
        order = [snapshot.snapshot_id for snapshot in snapshots]
        targets: list[int] = []
        while at is not None and order.index(at) >= self.floor:
            targets += [at] if kept[at].positions is not None else []
            at = kept[at].parent_id
        if targets:
            roll_back(self.settings(0), data.draw(st.sampled_from(targets)))

    def note_floor(self) -> None:
        """Note the oldest snapshot that a rollback may go to from now on; it never gets older."""
        with open_lake(self.settings(0)) as lake:
            snapshots = lake.snapshots()
            at = lake.snapshot_id
        kept = {snapshot.snapshot_id: snapshot for snapshot in snapshots}
        order = [snapshot.snapshot_id for snapshot in snapshots]
        lineage: list[int] = []
        while at is not None:
            lineage.append(at)
            at = kept[at].parent_id
        self.floor = max(self.floor, order.index(lineage[:REACH][-1]))

    @rule()
    def compact(self) -> None:
        """Another program commits a snapshot without a cursor."""
        commit_as_another_program(self.settings(0))

    @invariant()
    def nothing_promised_is_missing(self) -> None:
        """P-13: what was deleted from a buffer is in the lake, also after a rollback."""
        if self.promised:
            assert self.promised <= set(ids(self.settings(0)))

    def teardown(self) -> None:
        """In the end all that is held or was promised is in the lake."""
        if self.plan:
            self.plan[0].close()
        for machine in range(len(self.buffers)):
            extract(self.settings(machine))
        held = set().union(*(self.held(buffer) for buffer in self.buffers))
        try:
            assert held | self.promised <= set(ids(self.settings(0)))
        finally:
            shutil.rmtree(self.folder)


def test_no_sequence_of_actions_loses_a_record() -> None:
    """P-11, P-13, P-18: random actions on buffers, lakes and extractors lose nothing."""
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Positions,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
