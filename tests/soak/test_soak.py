"""Everything at once for a while: writers, movers, deleters, a bad network, and sudden deaths.

`make soak MINUTES=60` runs it for long; the suite has a short form. What has to have arrived is
worked out from copies of every byte that was ever written, by a rule of its own.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import start
from tests.resilience.custody import arrived, assert_arrived, ids_of
from tests.servers.running import Mongo, Proxy
from tests.sync_agent.places import Place
from tests.sync_agent.running_agents import Agent, free_port, running

SECONDS = float(os.environ.get("SOAK_SECONDS", "8"))
WRITERS, FILES = 3, 12
WRITES_A_SECOND = 2
"""Of four lines each: the test's server looks through all documents for each duplicate."""

TOXICS: dict[str, dict[str, int]] = {
    "latency": {"latency": 200, "jitter": 150},
    "reset_peer": {"timeout": 50},
    "timeout": {"timeout": 100},
    "limit_data": {"bytes": 2000},
    "bandwidth": {"rate": 40},
}
DRAIN_SECONDS = 600.0

pytestmark = [pytest.mark.stack, pytest.mark.timeout(SECONDS + 3 * DRAIN_SECONDS)]


class Folder:
    """The watched folder, and a copy of all that was ever in one of its files, by file key."""

    def __init__(self, root: Path, seed: int) -> None:
        self.root = root
        self.ids: set[str] = set()
        self.lock = threading.Lock()
        self.files: dict[str, tuple[Path, bytes]] = {}
        self._chance = random.Random(seed)  # noqa: S311 -- the same storm each time
        self._number = 0

    def write(self) -> None:
        """Append a few lines to a file, sometimes to a new one, sometimes in two halves."""
        with self.lock:
            key = self._pick() if len(self.files) >= FILES else self._new()
            path, content = self.files[key]
            block = b"".join(self._line() for _ in range(self._chance.randint(1, 8)))
            cut = self._chance.randrange(len(block))
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab", buffering=0) as file:
                file.write(block[:cut])
                time.sleep(0.001)
                file.write(block[cut:])
            self.files[key] = (path, content + block)
            self.ids |= ids_of(key, content + block)

    def move(self) -> None:
        """Move a file to another project."""
        with self.lock:
            if not self.files:
                return
            key = self._pick()
            path, content = self.files[key]
            target = self.root / f"-project-{self._chance.randrange(9)}" / key
            if target != path:
                target.parent.mkdir(parents=True, exist_ok=True)
                path.rename(target)
                self.files[key] = (target, content)

    def delete(self, is_read: Callable[[set[str]], bool]) -> None:
        """Delete a file that has been read; nobody could keep what nobody has seen."""
        with self.lock:
            for key, (path, content) in list(self.files.items()):
                if is_read(ids_of(key, content)):
                    path.unlink()
                    del self.files[key]
                    return

    def rotate(self, is_read: Callable[[set[str]], bool]) -> None:
        """Begin a file that has been read again, under the same name."""
        with self.lock:
            for key, (path, content) in list(self.files.items()):
                if is_read(ids_of(key, content)):
                    block = self._line()
                    path.write_bytes(block)
                    self.files[key] = (path, block)
                    self.ids |= ids_of(key, block)
                    return

    def _pick(self) -> str:
        return self._chance.choice(list(self.files))

    def _new(self) -> str:
        self._number += 1
        key = f"{self._number:08}-0000-4000-8000-000000000000.jsonl"
        if self._number % 4 == 0:
            key = f"{self._number:08}/subagents/agent-{self._number}.jsonl"
        self.files[key] = (self.root / f"-project-{self._number % 5}" / key, b"")
        return key

    def _line(self) -> bytes:
        self._number += 1
        padding = b"x" * self._chance.choice((10, 200, 3000))
        return b'{"type":"user","n":%d,"x":"%s"}\n' % (self._number, padding)


class Storm:
    """Threads that do something again and again until they has to stop."""

    def __init__(self) -> None:
        self.errors: list[BaseException] = []
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def every(self, seconds: float, action: Callable[[], None]) -> None:
        """Do ``action`` about so often."""
        thread = threading.Thread(target=self._run, args=(seconds, action))
        self._threads.append(thread)
        thread.start()

    def _run(self, seconds: float, action: Callable[[], None]) -> None:
        while not self._stop.wait(seconds):
            try:
                action()
            except BaseException as error:  # noqa: BLE001 -- told at the end
                self.errors.append(error)
                return

    def end(self) -> None:
        """Stop all of it and raise what went wrong in it."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        if self.errors:
            raise self.errors[0]


class Agents:
    """Two agents on one folder, each with a buffer of its own, that die and come back."""

    def __init__(self, places: list[Place], mongo: Mongo) -> None:
        self.places = places
        self.deaths = 0
        self._mongo = mongo
        self._chance = random.Random(7)  # noqa: S311 -- as above
        self._opened = [contextlib.ExitStack() for _ in places]
        self.running = [self._start(number) for number in range(len(places))]

    def _start(self, number: int) -> Agent:
        place = self.places[number]
        assert place.settings.mongo_uri is not None
        context = running(
            place,
            ready=False,
            HEALTH_PORT=str(free_port()),
            MONGO_URI=place.settings.mongo_uri.get_secret_value(),
            MONGO_DB=self._mongo.name,
            SYNC_INTERVAL_MS="200",
        )
        return self._opened[number].enter_context(context)

    def kill(self) -> None:
        """Kill one of them without warning, and start it again."""
        number = self._chance.randrange(len(self.places))
        self._opened[number].close()
        self.deaths += 1
        self.running[number] = self._start(number)

    def is_read(self, ids: set[str]) -> bool:
        """Return whether the first agent has all these entries safely in its buffer."""
        with contextlib.suppress(sqlite3.Error):
            names = ", ".join(f"x'{name}'" for name in ids)
            asked = f"select count(distinct entry_id) from records where entry_id in ({names})"
            return bool(self.places[0].query(asked)[0][0] == len(ids))
        return False

    def end(self) -> None:
        """Wait until both have shipped everything, and stop them as a user would."""
        deadline = time.monotonic() + DRAIN_SECONDS
        for agent in self.running:
            while not _is_done(agent):
                assert time.monotonic() < deadline, (_health(agent), agent.told()[-2000:])
                time.sleep(0.1)
            assert agent.stop() == 0
        for opened in self._opened:
            opened.close()


def _health(agent: Agent) -> dict[str, Any]:
    try:
        return agent.health()
    except OSError:
        return {}


def _is_done(agent: Agent) -> bool:
    health = _health(agent)
    is_shipped = bool(health.get("mongoConnected")) and health.get("pending") == 0
    return is_shipped and agent.is_ready()


@pytest.fixture
def places(tmp_path: Path, mongo: Mongo, proxy: Proxy) -> Iterator[list[Place]]:
    """Return two places with the same root."""
    options = "?serverSelectionTimeoutMS=1000&connectTimeoutMS=1000&socketTimeoutMS=2000"
    settings = {"mongo_uri": proxy.uri + options, "mongo_db": mongo.name}
    one = Place(tmp_path, **settings)
    two = Place(tmp_path, sqlite_path=tmp_path / "other" / "buffer.db", **settings)
    yield [one, two]
    shutil.rmtree(one.root)


def test_a_storm_loses_nothing(places: list[Place], mongo: Mongo, proxy: Proxy, home: Path) -> None:
    """After writers, movers, deleters, cuts and sudden deaths the server has exactly what was."""
    chance = random.Random(3)  # noqa: S311 -- as above
    folder = Folder(places[0].root, seed=1)
    agents = Agents(places, mongo)
    storm = Storm()

    def trouble() -> None:
        proxy.mend()
        kind = chance.choice([*TOXICS, "cut", "none", "none"])
        if kind == "cut":
            proxy.cut()
        elif kind != "none":
            proxy.spoil(kind, **TOXICS[kind])

    for _ in range(WRITERS):
        storm.every(WRITERS / WRITES_A_SECOND, folder.write)
    storm.every(0.7, folder.move)
    storm.every(1.5, lambda: folder.delete(agents.is_read))
    storm.every(1.1, lambda: folder.rotate(agents.is_read))
    storm.every(1.0, trouble)
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        time.sleep(min(3.0, SECONDS / 5))
        agents.kill()
    storm.end()
    proxy.mend()
    agents.end()
    assert agents.deaths >= 4
    assert len(folder.ids) > 50
    assert_arrived(mongo, folder.ids, *places)
    _assert_validated(places[0], mongo, home, entries=len(folder.ids))


def _assert_validated(place: Place, mongo: Mongo, home: Path, *, entries: int) -> None:
    """Take everything through the pipeline, and have the product prove its custody."""
    settings = {
        "CLAUDE_DIR": str(place.root),
        "SQLITE_PATH": str(place.settings.sqlite_path),
        "ANNALS_HOME": str(place.settings.annals_home),
        "MONGO_URI": mongo.uri,
        "MONGO_DB": mongo.name,
    }
    done = start("pipeline", "--json", home=home, cwd=home, **settings)
    assert done.code == 0, done.err
    proof = start("validate", "--deep", "--json", home=home, cwd=home, **settings)
    assert proof.code == 0, proof.out[-3000:] + proof.err
    assert len(arrived(mongo)) == entries
