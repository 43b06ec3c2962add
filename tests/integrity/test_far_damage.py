"""A lake in an object store: its data files are verified and repaired as those on a disk."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from annals.errors import LakeDamageError
from annals.settings.passing import as_environment
from flows import stages
from flows.validation.lake_files import check_lake_files
from loaders import warehouse
from loaders.data_files import verify_all
from tests.conftest import Run
from tests.extractors.lakes import ids
from tests.servers.lakes import FarLake

HARMS: dict[str, Callable[[bytes], bytes]] = {
    "flip": lambda data: data[:100] + bytes([data[100] ^ 16]) + data[101:],
    "cut": lambda data: data[: len(data) // 2],
    "zero": lambda data: bytes(len(data)),
}


def test_damaged_objects_are_named_and_repaired(
    far_lake: FarLake, tmp_path: Path, in_process: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Flipped, cut or zeroed: verification names the object, and repair puts its bytes back."""
    settings = far_lake.settings(tmp_path, claude_dir=tmp_path / "projects", timezone="UTC")
    transcript = tmp_path / "projects" / "-p" / "s.jsonl"
    transcript.parent.mkdir(parents=True)
    transcript.write_text("".join(json.dumps({"type": "user", "n": n}) + "\n" for n in range(20)))
    stages.sync(settings)
    stages.extract(settings)
    stages.load(settings)
    expected = sorted(ids(settings))
    for name, value in as_environment(settings).items():
        monkeypatch.setenv(name, value)
    objects, (place,) = far_lake.objects(), far_lake.files(".parquet")
    with objects.open_input_file(place) as file:
        whole = file.read()
    for harm in HARMS.values():
        with objects.open_output_stream(place) as stream:
            stream.write(harm(whole))
        with (
            warehouse.connect(settings) as connection,
            pytest.raises(LakeDamageError, match=Path(place).name),
        ):
            verify_all(connection)
        assert in_process("repair", "--dry-run").code == 0
        done = in_process("repair")
        assert (done.code, "0 rows missing" in done.out) == (0, True), done.err
        with objects.open_input_file(place) as file:
            assert file.read() == whole
    assert sorted(ids(settings)) == expected
    transcript.unlink()
    settings.sqlite_path.unlink()
    with objects.open_output_stream(place) as stream:
        stream.write(HARMS["zero"](whole))
    assert in_process("repair").code == 9


def test_a_load_notices_objects_that_changed_since(far_lake: FarLake, tmp_path: Path) -> None:
    """With nothing new: a missing object, another size, and other bytes of the same size."""
    settings = far_lake.settings(tmp_path, claude_dir=tmp_path / "projects", timezone="UTC")
    transcript = tmp_path / "projects" / "-p" / "s.jsonl"
    transcript.parent.mkdir(parents=True)
    transcript.write_text("".join(json.dumps({"type": "user", "n": n}) + "\n" for n in range(20)))
    stages.sync(settings)
    stages.extract(settings)
    stages.load(settings)
    transcript.unlink()
    settings.sqlite_path.unlink()  # nothing to repair from: damage is an error
    assert stages.load(settings).bytes_verified == 0
    objects, (place,) = far_lake.objects(), far_lake.files(".parquet")
    with objects.open_input_file(place) as file:
        whole = file.read()
    assert check_lake_files(settings).faults == ()
    assert check_lake_files(settings, deep=True).faults == ()
    for harm in HARMS.values():
        with objects.open_output_stream(place) as stream:
            stream.write(harm(whole))
        with pytest.raises(LakeDamageError, match=Path(place).name):
            stages.load(settings)
        assert Path(place).name in check_lake_files(settings, deep=True).faults[0]
    objects.delete_file(place)
    with pytest.raises(LakeDamageError, match=Path(place).name):
        stages.load(settings)
    assert "missing" in check_lake_files(settings).faults[0]
    with objects.open_output_stream(place) as stream:
        stream.write(whole)
    assert stages.load(settings).bytes_verified == len(whole)
    assert stages.load(settings).bytes_verified == 0
