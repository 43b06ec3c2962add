"""Archives that somebody else made, through the real restore: names, links, sizes.

ARCHIVES_EXAMPLES sets how many generated archives are tried.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from annals.errors import AnalyticsError, DiskFullError, IntegrityError
from annals.settings import Settings, load_settings
from operations.backup import members
from operations.backup.restoring import restore

EXAMPLES = int(os.environ.get("ARCHIVES_EXAMPLES", "60"))
BODY = b"written by an archive\n"


@dataclass(frozen=True)
class Place:
    """An empty place to restore into, with something beside it that nobody may touch."""

    root: Path

    @classmethod
    def make(cls, root: Path) -> Place:
        """Make the place and what lies beside it."""
        (root / "outside").mkdir(parents=True)
        (root / "outside" / "theirs").write_bytes(b"untouched")
        return cls(root)

    @property
    def settings(self) -> Settings:
        """Settings that name the place."""
        return load_settings(annals_home=self.root / "home", sqlite_path=self.root / "b" / "b.db")

    def files(self) -> dict[str, bytes]:
        """Return what is there by its path, but for locks."""
        found = (path for path in self.root.rglob("*") if path.is_file() or path.is_symlink())
        return {
            str(path.relative_to(self.root)): path.read_bytes() if path.is_file() else b""
            for path in found
            if path.suffix not in (".lock", ".zst") and path.name != "access.json"
        }


def member(name: str, body: bytes = BODY, **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    """Return a member of an archive; ``fields`` are those of its header."""
    info = tarfile.TarInfo(name)
    info.size = len(body)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, body if info.isreg() else b""


def write_archive(
    path: Path,
    contents: list[tuple[tarfile.TarInfo, bytes]],
    *,
    promised: list[str] | None = None,
    lake: dict[str, str] | None = None,
) -> Path:
    """Write an archive whose manifest promises its members, or what is named."""
    names = [info.name for info, _ in contents] if promised is None else promised
    bodies = {info.name: body for info, body in contents}
    manifest = {
        "version": 1,
        "created_at": "2026-01-01T00:00:00Z",
        "annals_version": "0.1.0",
        "timezone": "UTC",
        "lake": lake,
        "snapshot_id": None,
        "agent_id": None,
        "members": [
            {
                "path": name,
                "size": len(bodies.get(name, b"")),
                "sha256": hashlib.sha256(bodies.get(name, b"")).hexdigest(),
            }
            for name in names
        ],
    }
    text = json.dumps(manifest, ensure_ascii=True).encode()
    with (
        path.open("wb") as file,
        zstandard.ZstdCompressor().stream_writer(file) as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as tar,
    ):
        for info, body in (*contents, member("manifest.json", text)):
            tar.addfile(info, io.BytesIO(body))
    return path


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Return an empty place; the test fails if anything beside it was touched."""
    found = Place.make(tmp_path / "place")
    yield found
    assert found.files().get("outside/theirs") == b"untouched"


def refused(place: Place, archive: Path, kind: type[AnalyticsError] = IntegrityError) -> None:
    """Restore an archive that has to be refused, with nothing written."""
    before = place.files()
    with pytest.raises(kind):
        restore(place.settings, archive)
    assert place.files() == before


PARTS = st.sampled_from(
    (
        *("a", "b", "A", "..", ".", "", "outside", "C:", "lake", "a ", " a", "a.", "a\\b", "é"),
        *("e\u0301", "\u202ea", "a\nb", "a\0b", "ﬁ", "x" * 256, "\udcff", "~", "CON", "a\u200b"),
    )
)
NAMES = st.builds(
    lambda start, parts: start + "/".join(parts),
    st.sampled_from(["lake/", "lake//", "/", "", "../", "lake/../", "catalog.db/", "./lake/"]),
    st.lists(PARTS, min_size=1, max_size=5),
)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(names=st.lists(NAMES, min_size=1, max_size=3))
@example(names=["lake//etc/x"])
@example(names=["lake/a", "lake/A"])
@example(names=["lake/a", "lake/a/b"])
@example(names=["lake/é", "lake/e\u0301"])
def test_a_name_is_refused_or_lies_below_the_lake(
    names: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever names an archive has: all are plain and below the lake, or nothing is written."""
    place = Place.make(tmp_path_factory.mktemp("names") / "place")
    target = str(place.root / "outside")
    given_names = [name.replace("outside", target.lstrip("/")) for name in names]
    with contextlib.suppress(UnicodeEncodeError):
        archive = write_archive(place.root / "a.tar.zst", [member(name) for name in given_names])
        codes: list[int] = []
        try:
            restore(place.settings, archive)
        except AnalyticsError as error:
            codes.append(error.exit_code)
            assert set(place.files()) == {"outside/theirs"}
        else:
            expected = {f"home/iceberg/{name.removeprefix('lake/')}" for name in given_names}
            assert set(place.files()) == {"outside/theirs", *expected}
            assert all(os.path.normpath(name) == name for name in given_names)
        assert codes in ([], [9])


@pytest.mark.parametrize(
    "kind",
    [
        *(tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE),
        *(tarfile.DIRTYPE, tarfile.GNUTYPE_SPARSE),
    ],
)
def test_only_plain_files_are_taken(place: Place, kind: bytes) -> None:
    """Links, devices, pipes, folders and sparse files are not part of an archive."""
    link = member("lake/link", b"", type=kind, linkname=str(place.root / "outside"))
    contents = [link, member("lake/link/x")]
    refused(place, write_archive(place.root / "a.tar.zst", contents, promised=["lake/link/x"]))
    refused(place, write_archive(place.root / "b.tar.zst", [link]))


def test_a_link_in_the_place_of_a_folder_is_not_followed(place: Place) -> None:
    """A folder that is swapped for a link while files are written leads nowhere."""
    root = place.root / "fresh"
    root.mkdir()
    (root / "a").symlink_to(place.root / "outside")
    with pytest.raises(OSError, match="a"):
        members.create_below(root, members.member_path("a/theirs2"))
    (root / "b").symlink_to(place.root / "outside" / "theirs")
    with pytest.raises(FileExistsError):
        members.create_below(root, members.member_path("b"))
    assert [one.name for one in (place.root / "outside").iterdir()] == ["theirs"]


def test_files_that_are_in_the_archive_twice_or_in_no_manifest(place: Place) -> None:
    """Duplicates, what the manifest does not name, and what it names and is missing: refused."""
    twice = [member("lake/a"), member("lake/a", b"other")]
    refused(place, write_archive(place.root / "a.tar.zst", twice, promised=["lake/a"]))
    more = [member("lake/a"), member("lake/b")]
    refused(place, write_archive(place.root / "b.tar.zst", more, promised=["lake/a"]))
    refused(place, write_archive(place.root / "c.tar.zst", [], promised=["lake/a"]))


def test_an_archive_that_expands_without_end_is_left_early(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sizes, counts and headers have limits, and are compared before anything is read in."""
    with monkeypatch.context() as patched:
        patched.setattr("operations.backup.restoring._free_at", lambda _: 1_000_000)
        large = [member(f"lake/{number}", bytes(400_000)) for number in range(4)]
        refused(place, write_archive(place.root / "a.tar.zst", large), DiskFullError)
    with monkeypatch.context() as patched:
        patched.setattr("operations.backup.checking.MEMBERS_AT_MOST", 2)
        many = [member(f"lake/{number}") for number in range(3)]
        refused(place, write_archive(place.root / "b.tar.zst", many))
    with monkeypatch.context() as patched:
        patched.setattr("operations.backup.checking.MANIFEST_BYTES", 100)
        refused(place, write_archive(place.root / "c.tar.zst", [member("lake/a")]))
    long_name = [member("lake/" + "x" * 200_000)]
    refused(place, write_archive(place.root / "d.tar.zst", long_name))
