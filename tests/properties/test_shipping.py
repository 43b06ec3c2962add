"""The shipping protocol against random faults, through the real code (docs/specs/shipping.md).

Two machines at most read the same entries and ship them; processes die at any step, answers get
lost, inserts arrive late, the server refuses for a while; a buffer is put back from an older copy,
copied to a second machine, or deleted. One reader takes every range the moment that committedSeq
rises: the worst case. Two extractors fill a lake and overtake each other. Nothing that was ever
acknowledged, or is still held, may be missing in the end.

SHIPPING_EXAMPLES sets how many sequences are tried, SHIPPING_STEPS how long they are.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from pymongo.errors import DuplicateKeyError

from annals.errors import ConflictError, DependencyError
from annals.settings import Settings, load_settings
from annals.telemetry import NO_PROGRESS
from extractors.extract import Extraction, Tally, extract, prepare
from extractors.lake import Lake, open_lake
from extractors.mongo import MongoSource
from sync_agent.buffer.pruning import prune
from sync_agent.buffer.store import open_buffer
from sync_agent.shipping.delivery import Delivery
from sync_agent.shipping.identity import enroll_agent
from sync_agent.shipping.mongo import Remote
from sync_agent.shipping.outbox import Outbox, open_outbox
from sync_agent.upkeep.quarantine import retry
from tests.extractors.buffers import Buffer
from tests.extractors.lakes import ids as lake_ids
from tests.properties.interrupted import LOCAL, NO_FAULT, REMOTE, Crash, Fault, Interrupted
from tests.servers.running import Mongo, Server

EXAMPLES = int(os.environ.get("SHIPPING_EXAMPLES", "10"))
STEPS = int(os.environ.get("SHIPPING_STEPS", "25"))
MACHINES = st.integers(0, 1)
FAULTS = st.builds(
    Fault,
    st.sampled_from(["", "", "insert", "insert", "commit", "acknowledge", *REMOTE, *LOCAL]),
    st.sampled_from(["crash before", "crash after", "lost"]),
    st.integers(0, 2),
    late=st.booleans(),
)
LINGERS = st.sampled_from([0.0, 3600.0])
TAKEN = "taken"


class Machine:
    """A buffer, and the process that ships it while it lives."""

    def __init__(self, buffer: Buffer, given: Settings) -> None:
        self.buffer = buffer
        self.settings = given.model_copy(update={"sqlite_path": buffer.path})
        self.fault = NO_FAULT
        self._remote = Remote(self.settings)
        self._opened = contextlib.ExitStack()
        self._delivery: Delivery | None = None

    def ship(self, fault: Fault, *, linger: float = 0.0) -> int:
        """Make a step of the shipper; return how many records it shipped.

        With ``linger`` they are not covered by committedSeq before a step without it.
        """
        self.fault = fault
        try:
            delivery = self._delivery or self._enter()
            return delivery.ship(rows=2, size=1_000_000, linger=linger).records
        except DependencyError:
            return 1
        except (ConflictError, Crash):
            self.die()
            return 1

    def _enter(self) -> Delivery:
        with contextlib.ExitStack() as opening:
            outbox: Outbox = opening.enter_context(open_outbox(self.buffer.path))
            local = Interrupted(outbox, LOCAL, lambda: self.fault)
            server = Interrupted(self._remote, REMOTE, lambda: self.fault)
            self._delivery = Delivery(local, server, enroll_agent(local, server))  # type: ignore[arg-type]
            self._opened = opening.pop_all()
        return self._delivery

    def die(self) -> None:
        """End the process."""
        self._delivery = None
        self._opened.close()

    def close(self) -> None:
        """End the process and leave the server."""
        self.die()
        self._remote.close()

    def held(self) -> set[str]:
        """Return the ids of everything the buffer holds, dead letters included."""
        rows = self.buffer.execute(
            "select entry_id from records union select entry_id from dead_letters"
        )
        return {entry_id.hex() for (entry_id,) in rows}

    def acknowledged(self) -> set[str]:
        """Return the ids of the records that the buffer believes to be shipped."""
        rows = self.buffer.execute(
            "select entry_id from records where seq <= (select max(acknowledged) from consumers)"
        )
        return {entry_id.hex() for (entry_id,) in rows}


class Shipping(RuleBasedStateMachine):
    """Machines, a server and what an extractor had of it."""

    server: ClassVar[Server]

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="shipping-"))
        self.mongo = Mongo(self.server)
        self.given = load_settings(
            annals_home=self.folder / "lake", mongo_uri=self.mongo.uri, mongo_db=self.mongo.name
        )
        self.source = MongoSource(self.given)
        self.machines = [Machine(Buffer(self.folder / "buffer-0.db"), self.given)]
        self.born = 2
        self.cursor: dict[str, int] = {}
        self.seen: set[str] = set()
        self.promised: set[str] = set()
        self.late: list[dict[str, object]] = []
        self.saved: Buffer | None = None
        self.plan: tuple[Lake, Extraction] | None = None

    @initialize(second=st.booleans())
    def begin(self, second: bool) -> None:
        """Begin with a server that refuses some entries, and one machine or two."""
        self.mongo.conversations.create_index("uuid", unique=True, sparse=True)
        self.mongo.conversations.insert_one({"_id": "somebody's", "uuid": TAKEN})
        if second:
            self.machines.append(Machine(Buffer(self.folder / "buffer-1.db"), self.given))

    def machine(self, number: int) -> Machine:
        """Return a machine; before there is a second one, the first."""
        return self.machines[min(number, len(self.machines) - 1)]

    @rule(
        number=MACHINES,
        count=st.integers(1, 3),
        own=st.sampled_from([False, False, True]),
        refused=st.sampled_from([False, False, True]),
    )
    def read(self, number: int, count: int, own: bool, refused: bool) -> None:
        """Read entries: such as the other machine reads too, or of this one alone."""
        buffer = self.machine(number).buffer
        for place in range(count):
            raw = b"%08d" % (buffer.offset + 10**7 * own * (number + 1))
            taken = refused and place == 0
            buffer.append([raw], uuid=TAKEN if taken else f"{raw!r}-{buffer.offset}")

    @rule(number=MACHINES, fault=FAULTS, linger=LINGERS)
    def ship(self, number: int, fault: Fault, linger: float) -> None:
        """Ship a batch, or die over it, or do not hear the answer; it is covered now or later."""
        machine = self.machine(number)
        machine.ship(fault, linger=linger)
        self.late += fault.late
        self.take_all()
        self.promised |= machine.acknowledged()

    def take_all(self) -> None:
        """Take what committed positions cover, at once."""
        for agent_id, through in self.source.committed().items():
            after = self.cursor.get(agent_id, 0)
            if through > after:
                batches = self.source.read(agent_id, after=after, through=through)
                self.seen |= {record.entry_id for batch in batches for record in batch}
                self.cursor[agent_id] = through

    @rule(number=MACHINES, faults=st.lists(FAULTS, min_size=2, max_size=4), linger=LINGERS)
    def ship_on(self, number: int, faults: list[Fault], linger: float) -> None:
        """Ship several batches, with the server taking part."""
        for fault in faults:
            self.ship(number, fault, linger)

    @rule(what=st.sampled_from(["restart", "forget", "stop_refusing", "land"]), number=MACHINES)
    def go_on(self, what: str, number: int) -> None:
        """Let something happen that belongs to every day."""
        machine = self.machine(number)
        if what == "restart":
            machine.die()
        elif what == "forget":
            with open_buffer(machine.buffer.path) as buffer:
                prune(buffer, retention_days=0, ships=True)
        elif what == "stop_refusing":
            self.stop_refusing()
        elif self.late:  # an insert that was under way when its sender gave up
            with contextlib.suppress(DuplicateKeyError):
                self.mongo.conversations.insert_one(self.late.pop())

    @rule(what=st.sampled_from(["copy", "copy", "copy", "clone", "delete"]))
    def meet_a_mishap(self, what: str) -> None:
        """Lose the first machine's buffer, or copy it, put the copy back, begin a second machine.

        A buffer that is lost begins again; its files are read again.
        """
        first = self.machines[0]
        path = self.folder / f"buffer-{self.born}.db"
        self.born += 1
        if what == "delete":
            first.close()
            self.machines[0] = Machine(Buffer(path), self.given)
            self.read(number=0, count=first.buffer.offset // 9, own=False, refused=False)
        elif what == "clone":
            for second in self.machines[1:]:
                second.close()
            self.machines[1:] = [Machine(first.buffer.copy(path), self.given)]
        elif self.saved is None:
            self.saved = first.buffer.copy(self.folder / f"saved-{self.born}.db")
        else:
            first.close()
            self.machines[0] = Machine(self.saved.copy(path), self.given)
            self.saved = None
            self.read(number=0, count=1, own=True, refused=False)  # other files come first now

    @rule(faults=st.lists(FAULTS, max_size=1), own=st.booleans())
    def go_back(self, faults: list[Fault], own: bool) -> None:
        """Copy the first machine's buffer, let it read and ship on, and put the copy back."""
        self.saved = None
        self.meet_a_mishap("copy")
        self.read(number=0, count=1, own=own, refused=False)
        self.ship_on(0, [*faults, NO_FAULT, NO_FAULT], linger=0.0)
        self.meet_a_mishap("copy")

    def stop_refusing(self) -> None:
        """Let the server take everything from now on, and send again what it refused."""
        if "uuid_1" in self.mongo.conversations.index_information():
            self.mongo.conversations.drop_index("uuid_1")
        for machine in self.machines:
            with open_buffer(machine.buffer.path) as buffer:
                retry(buffer, machine.settings, ())

    @rule()
    def extract(self) -> None:
        """Let an extractor read cursor and positions and be slow, while another goes all the way.

        The slow one then commits, or meets a conflict.
        """
        if self.plan is None:
            lake = open_lake(self.given, create=True)
            self.plan = lake, prepare(self.given, lake)
            return
        extract(self.given)
        self.finish_extraction()

    def finish_extraction(self) -> None:
        """Let the slow extractor go on."""
        assert self.plan
        (lake, extraction), self.plan = self.plan, None
        with lake, contextlib.closing(extraction), contextlib.suppress(ConflictError):
            extraction.run(Tally(), NO_PROGRESS)

    @invariant()
    def nothing_promised_is_missing(self) -> None:
        """S-09 What a buffer believes to be shipped was in reach of every reader."""
        assert self.promised <= self.seen

    def teardown(self) -> None:
        """In the end everything that is held or was promised can be read, and is in the lake."""
        try:
            self.stop_refusing()
            for machine in self.machines:
                while machine.ship(NO_FAULT):
                    pass
            self.take_all()
            held = set().union(*(machine.held() for machine in self.machines))
            assert held | self.promised <= self.seen
            if self.plan:
                self.finish_extraction()
            extract(self.given)
            assert held | self.promised <= set(lake_ids(self.given))
        finally:
            for machine in self.machines:
                machine.close()
            self.source.close()
            self.mongo.close()
            shutil.rmtree(self.folder)


@pytest.mark.slow
def test_no_sequence_of_faults_loses_a_record(ferretdb: Server) -> None:
    """S-06, S-08, S-09, S-12 to S-15: random faults at every step lose nothing."""
    Shipping.server = ferretdb
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Shipping,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
