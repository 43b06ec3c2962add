"""``sync run`` from outside: what is written to the transcripts is soon in the buffer, once.

The four plans of the original service are here by name: new files, modification, restart without
loss, bootstrap into continuous without a gap.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.sync_agent.places import CHAT, Place, assert_balanced
from tests.sync_agent.running_agents import Agent, running, until

COPY = "-home-u-other/11111111-0000-4000-8000-000000000000.jsonl"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Return a root that lies below a folder with a dot, as ~/.claude/projects does."""
    return Place(tmp_path / ".claude")


def line(number: int) -> bytes:
    """Return one line."""
    return b'{"type":"user","n":%d}\n' % number


def entries(place: Place) -> list[bytes]:
    """Return the lines in the buffer, as they were written."""
    return [raw + b"\n" for raw in place.lines()]


def add(place: Place, name: str, data: bytes) -> None:
    """Append as a writer does, leaving the clock alone."""
    path = place.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab", buffering=0) as file:
        file.write(data)


def test_a_new_file_is_in_the_buffer_within_five_seconds(place: Place) -> None:
    """W-01 New files, in new folders of any depth, are read at once; the figure is printed."""
    with running(place) as agent:
        names = (CHAT, "-b/1.jsonl", "-c/s/subagents/agent-1.jsonl", "-c/s/subagents/w/x/a.jsonl")
        slowest = 0.0
        for number, name in enumerate(names, start=1):
            add(place, name, line(number))
            slowest = max(slowest, until(agent.has(number)))
        print(f"\nnew file to durable, slowest of {len(names)}: {slowest * 1000:.0f} ms")  # noqa: T201
        assert slowest < 5
        assert agent.stop() == 0
    assert entries(place) == [line(number) for number in range(1, 5)]
    assert_balanced(place.custody())


def test_a_modification_is_in_the_buffer_soon(place: Place) -> None:
    """W-02 Lines appended to files that were there are read from where reading had ended."""
    place.write(CHAT, line(0) * 2000)
    with running(place) as agent:
        slowest = 0.0
        for number in range(1, 21):
            add(place, CHAT, line(number))
            slowest = max(slowest, until(agent.has(2000 + number)))
        print(f"\nmodification to durable, slowest of 20: {slowest * 1000:.0f} ms")  # noqa: T201
        assert agent.health()["watchMissedTotal"] == 0
        assert agent.stop() == 0
    assert entries(place)[2000:] == [line(number) for number in range(1, 21)]


def test_growth_is_noted_once_in_a_while(place: Place) -> None:
    """R-40 Of a file that grows by the line, not each line is noted, but all of them in the end."""
    with running(place) as agent:
        for number in range(1, 11):
            add(place, CHAT, line(number))
            until(agent.has(number))
        assert place.events() == ["discovered", "grown"]
        assert agent.stop() == 0
    assert place.events() == ["discovered", "grown", "grown"]
    assert json.loads(place.kept("file")[-1].raw)["entries"] == 10


def test_a_restart_loses_nothing(place: Place) -> None:
    """W-03 Whatever is written while no agent runs, or while one is killed, is read once."""
    written = 0
    for stop in (signal.SIGTERM, signal.SIGKILL, signal.SIGINT):
        with running(place) as agent:
            for _ in range(50):
                written += 1
                add(place, f"-a/{written % 7}.jsonl", line(written))
            agent.stop(stop)
        for _ in range(20):
            written += 1
            add(place, f"-a/{written % 7}.jsonl", line(written))
    with running(place) as agent:
        until(agent.has(written))
    found = entries(place)
    print(f"\n{written} lines written over 3 restarts, {len(found)} in the buffer")  # noqa: T201
    assert sorted(found) == sorted(line(number) for number in range(1, written + 1))
    assert_balanced(place.custody())


def test_bootstrap_into_continuous_has_no_gap(place: Place) -> None:
    """W-04 Lines that are appended while the history is read are there once, and in order."""
    history = [f"-p{number % 20}/{number:05}.jsonl" for number in range(1500)]
    for name in history:
        add(place, name, line(0) * 20)
    counts = dict.fromkeys(history[::50], 0)
    with appending(place, counts) as ended, running(place) as agent:
        time.sleep(0.5)
        ended()
        total = sum(counts.values())
        until(agent.has(1500 * 20 + total))
        agent.stop()
    lost = duplicates = 0
    found: dict[bytes, list[bytes]] = {}
    for kept in place.kept("entry"):
        found.setdefault(kept.key, []).append(kept.raw + b"\n")
    for name, count in counts.items():
        wanted = [line(0)] * 20 + [line(number) for number in range(1, count + 1)]
        raws = found[os.fsencode(name.partition("/")[2])]
        lost += len(set(wanted) - set(raws))
        duplicates += max(0, len(raws) - len(wanted))
        assert raws == wanted
    print(  # noqa: T201
        f"\n{1500 * 20} lines of history and {total} appended meanwhile: {lost} lost,"
        f" {duplicates} twice"
    )
    assert total > len(counts)
    assert_balanced(place.custody())


@contextlib.contextmanager
def appending(place: Place, counts: dict[str, int]) -> Iterator[Callable[[], None]]:
    """Append to every file of ``counts`` again and again, until what is given is called."""
    is_over = threading.Event()

    def append() -> None:
        while not is_over.is_set():
            for name, count in counts.items():
                counts[name] = count + 1
                add(place, name, line(count + 1))
            time.sleep(0.05)

    def end() -> None:
        is_over.set()
        writer.join()

    writer = threading.Thread(target=append)
    writer.start()
    try:
        yield end
    finally:
        end()


def test_a_live_line_does_not_wait_for_a_long_file(place: Place) -> None:
    """W-08 While a long file is read, lines of others are read between its batches."""
    place.write(CHAT, line(0) * 400_000)
    with running(place, ready=False) as agent:
        until(agent.has(1))
        add(place, "-b/1.jsonl", line(1))
        until(agent.has(400_001))
        agent.stop()
    (live,) = place.query("select seq from records where raw = ?", line(1)[:-1])
    assert live[0] < 390_000
    assert place.query("select count(*) from records where record_kind = 'entry'") == [(400_001,)]


def test_many_files_at_once_are_all_read(place: Place, tmp_path: Path) -> None:
    """W-05 Of 30,000 files that appear at once none is missing, whatever the system dropped."""
    aside = tmp_path / "aside"
    for number in range(30_000):
        folder = aside / f"-p{number % 300}"
        if number < 300:
            folder.mkdir(parents=True)
        with (folder / f"{number}.jsonl").open("wb") as file:
            file.write(line(number))
    with running(place, LOG_LEVEL="warning") as agent:
        for folder in sorted(aside.iterdir()):
            folder.rename(place.root / folder.name)
        seconds = until(agent.has(30_000))
        print(  # noqa: T201
            f"\n30,000 files in {seconds:.1f} s, {agent.health()['watchMissedTotal']} found by a"
            " full round only"
        )
        assert agent.health()["filesWatched"] == 30_000
        assert agent.stop() == 0
    found = place.query(
        "select count(*), count(distinct entry_id) from records where record_kind = 'entry'"
    )
    assert found == [(30_000, 30_000)]


def test_an_overflow_of_events_loses_nothing(place: Place) -> None:
    """W-06 Where the kernel drops events because nobody takes them, a full round finds the rest."""
    with running(place) as agent:
        add(place, CHAT, line(0))
        until(agent.has(1))
        agent.process.send_signal(signal.SIGSTOP)
        limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
        for number in range(limit // 4 + 200):
            add(place, f"-a/{number}.jsonl", line(number))
            add(place, f"-a/{number}.jsonl", line(number))
        agent.process.send_signal(signal.SIGCONT)
        until(agent.has(1 + 2 * (limit // 4 + 200)))
        agent.stop()
    assert len(place.lines()) == 1 + 2 * (limit // 4 + 200)


def test_a_suspended_agent_reads_on(place: Place) -> None:
    """W-07 After a suspension the agent reads what was written meanwhile."""
    with running(place) as agent:
        agent.process.send_signal(signal.SIGSTOP)
        for number in range(10):
            add(place, "-a/1.jsonl", line(number))
        agent.process.send_signal(signal.SIGCONT)
        until(agent.has(10))
        add(place, "-a/1.jsonl", line(10))
        until(agent.has(11))


def test_a_file_that_moves_is_not_read_again(place: Place) -> None:
    """W-10 Moved while the agent runs, with a stub left behind, a file keeps its position."""
    data = b"".join(line(number) for number in range(3000))
    path = place.write(CHAT, data)
    with running(place) as agent:
        until(agent.has(3000))
        before = received_bytes(agent)
        (place.root / COPY).parent.mkdir()
        path.rename(place.root / COPY)
        add(place, CHAT, b'{"stub":1}\n')
        until(agent.has(3001))
        add(place, COPY, line(3000))
        until(agent.has(3002))
        until(lambda: "moved" in place.events())
        assert received_bytes(agent) - before < 40_000
        path.rename(place.root / "-home-u-other" / "aside")
        (place.root / COPY).rename(path)
        add(place, CHAT, line(3001))
        until(agent.has(3003))
        assert received_bytes(agent) - before < 60_000
        agent.stop()
    ids = [entry.entry_id for entry in place.kept("entry")]
    assert len(ids) == len(set(ids)) == 3003
    assert_balanced(place.custody())


def test_a_file_moved_onto_another_is_not_read_again(place: Place) -> None:
    """W-10 Moved onto a file of the same name, a file keeps its position; the other vanished."""
    path = place.write(CHAT, b"".join(line(number) for number in range(3000)))
    place.write(COPY, b'{"stub":1}\n')
    with running(place) as agent:
        until(agent.has(3001))
        before = received_bytes(agent)
        path.rename(place.root / COPY)
        until(lambda: {"moved", "vanished"} <= set(place.events()))
        add(place, COPY, line(3000))
        until(agent.has(3002))
        assert received_bytes(agent) - before < 40_000
        agent.stop()
    assert len({entry.entry_id for entry in place.kept("entry")}) == 3002
    assert_balanced(place.custody())


_BYTES = "component_received_bytes_total"


def received_bytes(agent: Agent) -> int:
    """Return the bytes that the agent has read from transcripts."""
    rows = agent.get("/metrics")[1].splitlines()
    return int(float(next(one for one in rows if one.startswith(_BYTES)).split()[1]))


def test_a_moved_project_folder_is_not_read_again(place: Place) -> None:
    """W-10 Where a whole project folder is renamed its files keep their positions."""
    for number in range(20):
        add(place, f"-a/s/{number}.jsonl", line(number) * 500)
    with running(place) as agent:
        until(agent.has(10_000))
        before = received_bytes(agent)
        (place.root / "-a").rename(place.root / "-z")
        until(lambda: place.events().count("moved") == 20)
        add(place, "-z/s/3.jsonl", line(999))
        until(agent.has(10_001))
        assert received_bytes(agent) - before < 20 * 9000 + 9000
        agent.stop()
    assert "vanished" not in place.events()


def test_deleted_files_stay_in_custody(place: Place) -> None:
    """W-11 A deleted file is noted as vanished, and what was read of it stays."""
    path = place.write(CHAT, line(1))
    add(place, "-b/s/1.jsonl", line(2))
    with running(place) as agent:
        until(agent.has(2))
        path.unlink()
        (place.root / "-b" / "s" / "1.jsonl").unlink()
        (place.root / "-b" / "s").rmdir()
        until(lambda: place.events().count("vanished") == 2)
        assert agent.health()["filesWatched"] == 0
        add(place, "-b/s/1.jsonl", line(3))
        until(agent.has(3))
        agent.stop()
    assert entries(place) == [line(1), line(2), line(3)]


def test_random_changes_lead_to_what_a_sync_leads_to(place: Place) -> None:
    """W-12 After writing, moving, cutting and deleting at random the ledger balances."""
    dice = random.Random(7)  # noqa: S311 -- seeded
    names = [f"-{folder}/{number}.jsonl" for folder in "abc" for number in range(4)]
    for folder in "abc":
        (place.root / f"-{folder}").mkdir()
    with running(place) as agent:
        for number in range(400):
            path = place.root / dice.choice(names)
            act = dice.random()
            if act < 0.7 or not path.exists():
                add(place, str(path.relative_to(place.root)), line(number))
            elif act < 0.8:
                path.rename(path.parent.with_name(f"-{dice.choice('abc')}") / path.name)
            elif act < 0.85:
                path.unlink()
            elif act < 0.9:
                os.truncate(path, dice.randrange(path.stat().st_size + 1))
            else:
                path.write_bytes(line(number) * dice.randrange(4))
            time.sleep(dice.random() / 200)
        assert agent.stop() == 0
    kept = place.custody()
    assert_balanced(kept)
    whole = {line(number)[:-1] for number in range(400)}
    on_disk = {
        (os.fsencode(path.name), raw)
        for path in place.root.rglob("*.jsonl")
        for raw in path.read_bytes().splitlines()
        if raw in whole
    }
    assert on_disk <= {(entry.key, entry.raw) for entry in place.kept("entry")}
    assert place.sync().entries_new == 0
