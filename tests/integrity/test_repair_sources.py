"""`annals repair` with real damage where transcript and buffer are gone: an archive, MongoDB."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from extractors import files
from flows import stages
from flows.validation.lake_files import check_lake_files
from operations import backup
from tests.conftest import Run
from tests.extractors.lakes import ids
from tests.integrity.places import Place
from tests.integrity.shipped import shipped_agent
from tests.integrity.test_crossings import Harm, cut, zero
from tests.integrity.test_vanished import lose_buffer
from tests.servers.running import Mongo
from tests.sync_agent.agents import Agent


@pytest.fixture
def archived(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an archive of the place, whose settings are those of commands now."""
    for name in ("annals_home", "sqlite_path", "claude_dir"):
        monkeypatch.setenv(name.upper(), str(getattr(place.settings, name)))
    archive = tmp_path / "any name"
    backup.backup(place.settings, archive, passphrase=None)
    return archive


def lose_copies(place: Place) -> None:
    """Delete transcripts and buffer."""
    place.transcript.unlink()
    lose_buffer(place)


@pytest.mark.parametrize("harm", [zero, cut])
def test_an_archive_has_whole_copies(
    place: Place, archived: Path, in_process: Run, harm: Harm
) -> None:
    """Damaged files are put back as they were; a look changes nothing."""
    expected, paths = place.ids(), place.data_files()
    for path in paths:
        harm(path)
    lose_copies(place)
    without = in_process("repair")
    assert without.code == 9
    assert "annals backup" in without.out
    look = in_process("repair", str(archived), "--dry-run", "--json").data["lake"]
    assert look["rows_missing"] == 0
    assert in_process("repair").code == 9
    done = in_process("repair", str(archived), "--json")
    assert (done.code, done.data["lake"]["rows_appended"]) == (0, look["rows_appended"])
    assert place.ids() == expected
    assert place.data_files() == paths
    assert check_lake_files(place.settings).faults == ()


def test_an_encrypted_archive_has_whole_copies(
    place: Place, archived: Path, in_process: Run, tmp_path: Path
) -> None:
    """With its passphrase it is one more source; without, or with another, nothing is changed."""
    sealed, key, wrong = (tmp_path / name for name in ("sealed.age.tar", "key", "wrong"))
    for file, text in ((key, "open sesame\n"), (wrong, "close sesame\n")):
        file.write_text(text)
        file.chmod(0o600)
    backup.backup(place.settings, sealed, passphrase=key.read_text().strip())
    assert archived.exists()
    expected, paths = place.ids(), place.data_files()
    for path in paths:
        zero(path)
    lose_copies(place)
    refused = in_process("repair", str(sealed))
    assert (refused.code, "encrypted" in refused.err) == (2, True), refused.err
    assert in_process("repair", str(sealed), "--passphrase-file", str(wrong)).code in (2, 3)
    assert not any(path.read_bytes().strip(b"\0") for path in paths)
    done = in_process("repair", str(sealed), "--passphrase-file", str(key), "--json")
    assert done.code == 0, done.err
    assert place.ids() == expected
    assert check_lake_files(place.settings).faults == ()


def test_what_is_no_whole_archive_is_named(
    place: Place, archived: Path, in_process: Run, tmp_path: Path
) -> None:
    """A missing, cut or foreign archive: the error names it, and nothing is changed."""
    path = place.data_files()[0]
    zero(path)
    (tmp_path / "cut.tar").write_bytes(archived.read_bytes()[:-1000])
    (tmp_path / "foreign.tar").write_bytes(b"no archive")
    for name, code in (("missing", 2), ("cut", 9), ("foreign", 2)):
        shown = in_process("repair", str(tmp_path / f"{name}.tar"))
        assert shown.code == code
        assert f"{name}.tar" in shown.err
    assert not path.read_bytes().strip(b"\0")


def test_rows_that_give_other_bytes_are_appended(
    place: Place, archived: Path, in_process: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a version encodes rows otherwise they get new files; older snapshots lack one."""
    expected, path = place.ids(), place.data_files()[0]
    zero(path)
    monkeypatch.setattr(files, "DICTIONARY_COLUMNS", [])
    assert in_process("repair").code == 0
    assert place.ids() == expected
    assert not path.exists()
    check = check_lake_files(place.settings)
    assert (check.faults, check.figures["set_aside"]) == ((), 1)
    shutil.copy(next(path.parent.glob(f"{path.name}.damaged-*")), path)
    assert check_lake_files(place.settings).faults
    assert archived.exists()


@pytest.fixture
def agent(tmp_path: Path, mongo: Mongo, monkeypatch: pytest.MonkeyPatch) -> Iterator[Agent]:
    """Return an agent whose 12 records are on the server and in the lake."""
    with shipped_agent(tmp_path, mongo, monkeypatch) as found:
        stages.extract(found.settings)
        yield found


def test_a_server_has_whole_copies(agent: Agent, mongo: Mongo, in_process: Run) -> None:
    """A data file is zeroed, buffer and transcripts are gone: the rows come from MongoDB."""
    expected = ids(agent.settings)
    (path,) = agent.settings.lake_folder.rglob("*.parquet")
    zero(path)
    agent.settings.sqlite_path.rename(agent.settings.sqlite_path.with_name("gone"))
    assert in_process("repair", "--dry-run").code == 0
    assert not path.read_bytes().strip(b"\0")
    done = in_process("repair")
    assert done.code == 0, done.err
    assert sorted(ids(agent.settings)) == sorted(expected)
    assert check_lake_files(agent.settings).faults == ()
    zero(path)
    mongo.conversations.delete_many({"seq": 5})
    lacking = in_process("repair")
    assert lacking.code == 9
    assert "1 rows missing" in lacking.out
