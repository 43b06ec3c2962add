"""``backup`` and ``restore``: what is kept is what comes back, or nothing does."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from annals.locks import exclusive
from annals.settings import load_settings
from tests.conftest import Built, Run
from tests.sync_agent.places import CHAT, Place
from tests.sync_agent.running_agents import running, until

PASSPHRASE = "tide table"  # noqa: S105 -- a made-up one
GOLD = ("load", "transform")


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file with a passphrase."""
    path = tmp_path_factory.mktemp("key") / "key"
    path.write_text(f"{PASSPHRASE}\n")
    return path


@pytest.fixture(scope="module")
def archives(built: Built, key: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Path]:
    """Return an archive of the built sample by whether it is encrypted."""
    folder = tmp_path_factory.mktemp("archives")
    made = {True: folder / "sealed.age.tar", False: folder / "plain.tar.zst"}
    for is_sealed, path in made.items():
        words = ("--passphrase-file", str(key)) if is_sealed else ()
        done = built.read("backup", "--to", str(path), *words, "--json")
        assert done.code == 0, done.err
        assert done.data["backup"]["encrypted"] is is_sealed
    return made


def gold(home: Path) -> dict[str, str]:
    """Return the hash of each gold table below ``home``."""
    from loaders.gold import gold_hashes
    from loaders.warehouse import connect

    with connect(load_settings(annals_home=home), read_only=True) as warehouse:
        return gold_hashes(warehouse)


def left(home: Path) -> list[str]:
    """Return what lies below ``home`` besides locks and the note of which folders are private."""
    found = (path for path in home.rglob("*") if path.is_file() and path.suffix != ".lock")
    return sorted(str(path.relative_to(home)) for path in found if path.name != "access.json")


@pytest.mark.parametrize("is_sealed", [False, True], ids=["plain", "sealed"])
@pytest.mark.slow
def test_what_is_restored_elsewhere_gives_the_same_gold(
    annals: Run, built: Built, archives: dict[bool, Path], key: Path, home: Path, is_sealed: bool
) -> None:
    """A lake that was restored into another folder gives gold that is the same to the byte."""
    words = ("--passphrase-file", str(key)) if is_sealed else ()
    done = annals("restore", str(archives[is_sealed]), *words, "--json")
    assert done.code == 0, done.err
    assert done.data["restore"]["moved"] is True
    for command in GOLD:
        assert annals(command).code == 0
    assert gold(home / ".annals") == gold(built.home / ".annals" / "sample")
    lake = annals("iceberg", "info", "--json").data["lake"]
    assert lake["location"].startswith(f"file://{home}/")
    assert (home / ".claude-sync" / "buffer.db").stat().st_mode & 0o777 == 0o600


@pytest.mark.slow
def test_what_is_restored_goes_on_where_it_was(
    annals: Run, archives: dict[bool, Path], home: Path
) -> None:
    """The pipeline on a restored place reads only what is new, and validation passes."""
    assert annals("restore", str(archives[False])).code == 0
    place = home / "transcripts" / "-p"
    place.mkdir(parents=True)
    (place / "s.jsonl").write_text('{"type":"user","sessionId":"s","uuid":"u"}\n')
    folder = {"CLAUDE_DIR": str(place.parent)}
    first = annals("pipeline", "--json", **folder)
    assert first.code == 0, first.err
    assert first.data["counters"]["records_extracted"] <= 20, "the old records are in the lake"
    assert annals("validate", "--json", **folder).code == 0
    assert len(annals("iceberg", "snapshots", "--json").data["snapshots"]) == 2


def cut(data: bytes) -> bytes:
    """Cut an archive off."""
    return data[: len(data) * 2 // 3]


def cut_a_little(data: bytes) -> bytes:
    """Cut the end off, and more of it than the up to 1,535 bytes that only fill up a tar."""
    return data[:-1600]


def flip(data: bytes) -> bytes:
    """Change one bit in the middle."""
    at = len(data) // 2
    return data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :]


def other(_: bytes) -> bytes:
    """Give a file of another program."""
    return b"PK\x03\x04" + bytes(5000)


@pytest.mark.parametrize("is_sealed", [False, True], ids=["plain", "sealed"])
@pytest.mark.parametrize(("change", "code"), [(cut, 9), (cut_a_little, 9), (flip, 9), (other, 2)])
def test_a_damaged_archive_restores_nothing(
    in_process: Run,
    archives: dict[bool, Path],
    key: Path,
    home: Path,
    *,
    is_sealed: bool,
    change: Callable[[bytes], bytes],
    code: int,
) -> None:
    """Cut off, changed by one bit, or another program's file: an error, and the place is empty."""
    broken = home / "broken"
    broken.write_bytes(change(archives[is_sealed].read_bytes()))
    words = ("--passphrase-file", str(key)) if is_sealed else ()
    done = in_process("restore", str(broken), *words)
    assert done.code == code, done.err
    assert "hint: " in done.err
    assert left(home) == ["broken"]


def test_without_the_passphrase_nothing_is_restored(
    in_process: Run, archives: dict[bool, Path], home: Path
) -> None:
    """A missing, an empty and a wrong passphrase are usage errors that name the option."""
    (home / "wrong").write_text("tide tables\n")
    (home / "empty").write_text("\n")
    for words, said in (
        ((), "is encrypted"),
        (("--passphrase-file", "wrong"), "does not open"),
        (("--passphrase-file", "empty"), "is empty"),
        (("--passphrase-file", "none"), "cannot be read"),
    ):
        done = in_process("restore", str(archives[True]), *words)
        assert (done.code, said in done.err) == (2, True), done.err
    assert in_process("restore", "no-such-file").code == 2
    assert left(home) == ["empty", "wrong"]


@pytest.mark.parametrize("taken", ["buffer", "lake", "warehouse"])
def test_a_place_that_is_not_empty_is_left_alone(
    in_process: Run, archives: dict[bool, Path], home: Path, taken: str
) -> None:
    """Where any part is there already that is named, with the remedy, and nothing is changed."""
    names = {
        "buffer": ".claude-sync/buffer.db",
        "lake": ".annals/iceberg/x",
        "warehouse": ".annals/analytics.db",
    }
    path = home / names[taken]
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    done = in_process("restore", str(archives[False]))
    assert done.code == 2
    assert "Set ANNALS_HOME and SQLITE_PATH" in done.err
    assert left(home) == [names[taken]]


def test_an_archive_is_checked_before_the_target(
    in_process: Run, archives: dict[bool, Path], home: Path
) -> None:
    """A damaged archive is said although the place is taken, and makes no folder."""
    (home / "broken").write_bytes(flip(archives[False].read_bytes()))
    assert in_process("restore", "broken").code == 9
    assert not (home / ".annals").exists()
    taken = home / ".claude-sync" / "buffer.db"
    taken.parent.mkdir()
    taken.write_text("mine")
    assert in_process("restore", "broken").code == 9
    assert in_process("restore", "no-such-file").code == 2
    assert not (home / ".annals").exists()


def test_a_restore_that_was_killed_is_finished_by_the_next_one(
    in_process: Run, archives: dict[bool, Path], home: Path
) -> None:
    """Killed between two renames: the next restore finishes them, and all of it is there."""
    assert in_process("restore", str(archives[False])).code == 0
    everything = left(home)
    buffer = home / ".claude-sync" / "buffer.db"
    unpacked = buffer.with_name(".buffer.db.restoring")
    buffer.rename(unpacked)  # as it was before the last rename
    from operations.backup.checking import verify

    manifest = verify(archives[False], None)
    note = {"moves": {str(unpacked): str(buffer)}, "manifest": manifest.model_dump_json()}
    (home / ".annals" / "restoring.json").write_text(json.dumps(note))
    done = in_process("restore", str(archives[False]), "--json")
    assert done.code == 0, done.err
    assert done.data["restore"]["agent_id"] == manifest.agent_id
    assert left(home) == everything


def test_a_lake_that_lacks_a_file_is_not_backed_up(
    in_process: Run, archives: dict[bool, Path], home: Path
) -> None:
    """A missing data file is exit 9 with its name, and no archive is left."""
    assert in_process("restore", str(archives[False])).code == 0
    missing = next((home / ".annals" / "iceberg").rglob("*.parquet"))
    missing.unlink()
    done = in_process("backup", "--to", "here/archive")
    assert done.code == 9
    assert missing.name in done.err
    assert list((home / "here").iterdir()) == []


def test_a_backup_refuses_what_it_cannot_keep(in_process: Run, home: Path) -> None:
    """Nothing to keep, a file that exists, a place in the lake, a database: each is told."""
    (home / ".claude" / "projects").mkdir(parents=True)
    assert in_process("backup", "--to", "a").code == 2
    (home / "there").touch()
    assert "exists already" in in_process("backup", "--to", "there").err
    assert in_process("backup", "--to", ".annals/iceberg/a").code == 2
    database = ("--set", "ICEBERG_CATALOG_URI=postgresql://x/y")
    assert in_process(*database, "backup", "--to", "a").code == 3
    assert left(home) == ["there"]


def test_secrets_stay_where_they_are(annals: Run, home: Path) -> None:
    """The settings come back as a file; passwords and tokens in them do not."""
    (home / "projects" / "-p").mkdir(parents=True)
    (home / "projects" / "-p" / "s.jsonl").write_text('{"type":"user"}\n')
    prices = home / "prices.csv"
    prices.write_text("model_pattern,input\n")
    own = {
        "CLAUDE_DIR": str(home / "projects"),
        "MONGO_URI": "mongodb://me:hunter22@127.0.0.1:1/?tls=true",
        "PRICES_CSV": str(prices),
    }
    assert annals("sync", "once", CLAUDE_DIR=own["CLAUDE_DIR"]).code == 0
    assert annals("backup", "--to", "archive", **own).code == 0
    place = {"ANNALS_HOME": str(home / "new"), "SQLITE_PATH": str(home / "new" / "buffer.db")}
    done = annals("restore", "archive", **place)
    assert "PRICES_CSV=" in done.out
    text = (home / "new" / "restored-settings.env").read_text()
    assert f"CLAUDE_DIR={home}/projects" in text
    assert "hunter22" not in text + done.out
    assert (home / "new" / "restored-prices.csv").read_text() == prices.read_text()


def test_a_pipeline_that_runs_is_waited_for(in_process: Run, archives: dict[bool, Path]) -> None:
    """While somebody holds the pipeline a backup waits; exit 7 when that is too long."""
    assert in_process("restore", str(archives[False])).code == 0
    lock = load_settings().pipeline_lock
    with exclusive(lock, role="pipeline", what="the pipeline"):
        done = in_process("backup", "--to", "archive", "--wait", "0.3")
        assert done.code == 7, done.err
    assert in_process("backup", "--to", "archive").code == 0


def test_a_backup_under_a_live_agent_holds_what_it_had_read(tmp_path: Path, annals: Run) -> None:
    """While the agent reads on, the copy is sound, and has all that was read before."""
    place = Place(tmp_path)
    place.write(CHAT, b'{"type":"user","n":1}\n' * 50)
    own = {
        "CLAUDE_DIR": str(place.root),
        "SQLITE_PATH": str(place.settings.sqlite_path),
        "ANNALS_HOME": str(place.settings.annals_home),
    }
    with running(place) as agent:
        until(agent.has(50))
        for number in range(5):
            place.append(CHAT, b'{"type":"user","n":2}\n' * 20)
            done = annals("backup", "--to", f"archive-{number}", **own)
            assert done.code == 0, done.err
        until(agent.has(150))
        assert agent.stop() == 0
    new = {"ANNALS_HOME": str(tmp_path / "new"), "SQLITE_PATH": str(tmp_path / "new" / "buffer.db")}
    assert annals("restore", "archive-4", **new).code == 0
    copy = load_settings(sqlite_path=tmp_path / "new" / "buffer.db")
    from extractors.local import LocalSource

    ((agent_id, last),) = LocalSource(copy.sqlite_path).committed().items()
    batches = LocalSource(copy.sqlite_path).read(agent_id, after=0, through=last)
    entries = sum(record.record_kind == "entry" for batch in batches for record in batch)
    assert 130 <= entries <= 150


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """Mount a file system of ``size`` at ``folder`` while the body runs."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system needs more rights")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("is_sealed", [False, True], ids=["plain", "sealed"])
def test_a_full_disk_leaves_no_half_archive(
    built: Built, key: Path, tmp_path: Path, is_sealed: bool
) -> None:
    """Without space for the archive that is exit 10, and the half of it is removed."""
    words = ("--passphrase-file", str(key)) if is_sealed else ()
    with small_disk(tmp_path / "disk", "100k") as disk:
        done = built.read("backup", "--to", str(disk / "archive"), *words)
        assert done.code == 10, done.err
        assert list(disk.iterdir()) == []


def test_a_disk_too_small_for_it_is_told_before(
    in_process: Run, archives: dict[bool, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the archive cannot fit, that is exit 10 with the figures, and nothing is written."""
    with small_disk(tmp_path / "disk", "900k") as disk:
        monkeypatch.setenv("ANNALS_HOME", str(disk / "annals"))
        monkeypatch.setenv("SQLITE_PATH", str(disk / "buffer.db"))
        done = in_process("restore", str(archives[False]))
        assert done.code == 10
        assert "are needed" in done.err
        assert left(disk) == []
