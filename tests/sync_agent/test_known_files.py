"""What an agent keeps of each file: all that was put in, in a few bytes."""

from __future__ import annotations

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from sync_agent.buffer.rows import FileState, Known
from sync_agent.reading.known_files import KnownFiles, Seen
from sync_agent.reading.paths import Found

_NUMBERS = st.integers(min_value=-(1 << 62), max_value=1 << 62)
_PATHS = st.binary(min_size=1, max_size=40)
_ROWS = st.builds(
    Known,
    path=_PATHS,
    size=st.none() | _NUMBERS,
    mtime_ns=st.none() | _NUMBERS,
    inode=_NUMBERS,
    device=_NUMBERS,
    state=st.sampled_from(list(map(str, FileState))),
    file_id=_NUMBERS,
    location_id=_NUMBERS,
    host=st.sampled_from(["a", "b", "c"]),
    key=_PATHS,
    offset=_NUMBERS,
)
_MANY = 10_000


@given(rows=st.lists(_ROWS, max_size=20), ends_with_key=st.booleans())
def test_rows_come_back_as_they_were_put_in(rows: list[Known], *, ends_with_key: bool) -> None:
    """W-02 Any row is returned equal, by its path; the last one of a path stays."""
    known, plain = KnownFiles(), dict[bytes, Known]()
    for row in rows:
        stored = row._replace(path=row.path + b"/" + row.key) if ends_with_key else row
        known[stored.path] = plain[stored.path] = stored
    assert list(known.values()) == list(plain.values())
    assert known.keys() == plain.keys()
    for path, row in plain.items():
        assert known.get(path) == known[path] == row
        assert path in known
        del known[path]
        assert known.get(path) is None


def _row(number: int) -> Known:
    key = b"%08x-0000-4000-8000-000000000000.jsonl" % number
    path = b"/home/u/.claude/projects/-home-u-project-%06d/" % (number // 100) + key
    return Known(
        path, 10**6, 10**18 + number, 10**7 + number, 66, "active", number, number, "h", key, 9
    )


def test_a_file_takes_few_bytes() -> None:
    """W-45 Ten thousand files take 400 bytes each at most, their paths included."""
    known = KnownFiles()
    tracemalloc.start()
    for number in range(_MANY):
        row = _row(number)
        known[row.path] = row
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size < 400 * _MANY


def test_what_is_unchanged_is_not_compared_twice() -> None:
    """W-02 Files found as they are known are left out of the others, all the rest are in them."""
    known = KnownFiles()
    for number in range(100):
        known[_row(number).path] = _row(number)
    seen = Seen(known)
    for number in range(0, 100, 2):
        row = _row(number)
        size, mtime_ns = row.size or 0, row.mtime_ns or 0
        same = Found(row.path, size, mtime_ns, row.device, row.inode)
        assert seen.is_unchanged(same)
        assert not seen.is_unchanged(same._replace(size=size + 1))
    assert seen.files == 50
    assert [row.file_id for row in seen.others()] == list(range(1, 100, 2))
