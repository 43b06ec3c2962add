"""The generator: same seed, same bytes, and a truth that fits what was written."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from examples.generator import (
    HAZARDS,
    SpanKind,
    Tree,
    Truth,
    changes,
    write_bench,
    write_expected,
    write_hazard,
    write_hazards,
    write_sample,
)

EXAMPLES = Path(__file__).parents[2] / "examples"


def _digest(root: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(_regular(root)):
        digest.update(os.fsencode(path.relative_to(root)) + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _regular(root: Path) -> list[Path]:
    return [
        path
        for path in root.rglob("*.jsonl")
        if path.is_file() and not path.is_symlink() and path.name != "journal.jsonl"
    ]


def _check_ledger(root: Path, truth: Truth) -> None:
    """Check every span against the bytes on disk, with the standard library alone."""
    for path, ledger in truth.files.items():
        data = (root / path).read_bytes()
        assert len(data) == ledger.size
        end = 0
        for span in ledger.spans:
            assert span.offset == end
            end += span.length
            _check_span(data[span.offset : end], span.kind)
        assert end == ledger.size


def _check_span(data: bytes, kind: SpanKind) -> None:
    if kind is SpanKind.SEPARATOR:
        assert not data.removeprefix(b"\xef\xbb\xbf").strip(b" \t\r\n\0")
    elif kind is SpanKind.ENTRY:
        value = json.loads(data, parse_int=len)
        assert isinstance(value, dict)
    else:
        assert not _is_object(data)


def _is_object(data: bytes) -> bool:
    try:
        return isinstance(json.loads(data, parse_constant=_refuse), dict)
    except (ValueError, RecursionError):
        return False


def _refuse(name: str) -> None:
    raise ValueError(name)


def test_bundled_sample_is_what_the_generator_writes(tmp_path: Path) -> None:
    """The committed sample and its truth are the generator's own, byte for byte."""
    truth = write_sample(tmp_path / "sample")
    write_expected(tmp_path / "expected.json", truth)
    assert _digest(tmp_path / "sample") == _digest(EXAMPLES / "transcripts")
    assert (tmp_path / "expected.json").read_bytes() == (EXAMPLES / "expected.json").read_bytes()


def test_bundled_sample_is_small() -> None:
    """The sample stays small enough to be bundled and holds nothing but transcripts."""
    files = [path for path in (EXAMPLES / "transcripts").rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".jsonl"}
    assert len({path.relative_to(EXAMPLES / "transcripts").parts[0] for path in files}) == 3
    assert sum(path.stat().st_size for path in files) <= 600_000


@pytest.mark.parametrize("profile", ["sample", "hazards", "bench"])
def test_bytes_do_not_depend_on_the_hash_seed(tmp_path: Path, profile: str) -> None:
    """Two processes with other hash seeds and time zones write the same bytes."""
    for seed, zone in (("1", "UTC"), ("2", "Asia/Tokyo")):
        command = [sys.executable, "-m", "examples.generator", "--profile", profile]
        subprocess.run(
            [*command, "--out", tmp_path / seed, "--lines", "2000"],
            check=True,
            cwd=EXAMPLES.parent,
            env=os.environ | {"PYTHONHASHSEED": seed, "TZ": zone},
            capture_output=True,
        )
    assert _digest(tmp_path / "1") == _digest(tmp_path / "2")


def test_another_seed_writes_other_bytes(tmp_path: Path) -> None:
    """The seed matters."""
    write_bench(tmp_path / "1", lines=300, seed=1)
    write_bench(tmp_path / "2", lines=300, seed=2)
    assert _digest(tmp_path / "1") != _digest(tmp_path / "2")


def test_sample_ledger_fits_its_bytes(tmp_path: Path) -> None:
    """Every byte of the sample is in exactly one range, and each range is what it claims."""
    _check_ledger(tmp_path, write_sample(tmp_path))


def test_bench_ledger_fits_its_bytes(tmp_path: Path) -> None:
    """Every byte of a bench tree is in exactly one range, and each range is what it claims."""
    truth = write_bench(tmp_path, lines=3_000, keep_spans=True)
    _check_ledger(tmp_path, truth)
    assert 3_000 <= truth.totals()["entries"] < 3_400


def test_bench_writes_the_number_of_files_asked_for(tmp_path: Path) -> None:
    """With ``files`` given there are exactly so many main files, all of them short."""
    truth = write_bench(tmp_path, lines=2_000, files=400)
    assert len(truth.files) == 400
    assert max(ledger.entries for ledger in truth.files.values()) <= 20


@pytest.mark.parametrize("name", HAZARDS)
def test_hazard_ledger_fits_its_bytes(tmp_path: Path, name: str) -> None:
    """Every byte of a hazard is in exactly one range, and each range is what it claims."""
    truth = write_hazard(name, tmp_path)
    assert truth.files
    _check_ledger(tmp_path, truth)


def test_hazards_of_one_tree_do_not_touch_each_other(tmp_path: Path) -> None:
    """All hazards together are the hazards one by one."""
    together = write_hazards(tmp_path / "together")
    for name in HAZARDS:
        write_hazard(name, tmp_path / "single")
    assert _digest(tmp_path / "together") == _digest(tmp_path / "single")
    assert together.totals()["files"] == len(_regular(tmp_path / "together"))


def test_usage_adds_up_the_same_by_day_model_and_owner(tmp_path: Path) -> None:
    """However the responses are grouped, their sums are the same."""
    truth = write_bench(tmp_path, lines=3_000)
    whole = truth.usage()
    assert whole.responses == len(truth.responses) > 100
    for groups in (truth.by_day(), truth.by_model(), truth.by_session()):
        for name in ("responses", "input", "output", "cache_write", "cache_read"):
            assert sum(getattr(sums, name) for sums in groups.values()) == getattr(whole, name)


def test_truth_equals_a_count_of_the_rows(tmp_path: Path) -> None:
    """A plain count over the rows, by the accounting rules, finds the intended tokens."""
    truth = write_bench(tmp_path, lines=6_000)
    truth.merge(write_hazard("fork_of_fork", tmp_path))
    truth.merge(write_hazard("agent_progress_only", tmp_path))
    best: dict[tuple[str, ...], tuple[int, int, int, int]] = {}
    rows = 0
    for path in sorted(tmp_path.rglob("*.jsonl")):
        for line in path.read_bytes().splitlines():
            record = json.loads(line)
            record = record.get("data", {}).get("message", record)
            usage = (record.get("message") or {}).get("usage")
            if usage is None or record["message"]["model"] == "<synthetic>":
                continue
            rows += 1
            key = (record["message"]["id"], record.get("requestId", record["message"]["model"]))
            names = ("output_tokens", "input_tokens", "cache_read_input_tokens")
            searches = usage.get("server_tool_use", {}).get("web_search_requests", 0)
            found = (*(usage[name] for name in names), searches)
            best[key] = max(best.get(key, found), found)
    sums = truth.usage()
    assert len(best) == sums.responses
    assert rows == sum(response.rows for response in truth.responses)
    assert sum(found[0] for found in best.values()) == sums.output
    assert sum(found[1] for found in best.values()) == sums.input
    assert sum(found[2] for found in best.values()) == sums.cache_read
    assert sum(found[3] for found in best.values()) == sums.web_searches > 0


def _one_file(tmp_path: Path) -> tuple[Tree, str]:
    truth = write_bench(tmp_path, lines=40, files=1, keep_spans=True)
    path = max(truth.files, key=lambda name: truth.files[name].entries)
    return Tree(tmp_path, truth), path


def test_truncated_file_has_a_pending_tail(tmp_path: Path) -> None:
    """A cut inside an entry leaves its head as a pending tail."""
    tree, path = _one_file(tmp_path)
    before = tree.truth.files[path]
    cut = before.spans[6].offset + 50
    changes.truncate(tree, path, size=cut)
    after = tree.truth.files[path]
    assert (after.size, after.entries, after.pending_bytes) == (cut, 3, 50)
    _check_ledger(tmp_path, tree.truth)


def test_spliced_lines_keep_their_entries(tmp_path: Path) -> None:
    """A removed newline takes one separator and no entry."""
    tree, path = _one_file(tmp_path)
    before = tree.truth.files[path]
    changes.splice(tree, path, line=2)
    after = tree.truth.files[path]
    assert after.entries == before.entries
    assert after.separator_bytes == before.separator_bytes - 1
    _check_ledger(tmp_path, tree.truth)


def test_overwritten_line_leaves_garbage(tmp_path: Path) -> None:
    """A shorter record over a longer one leaves garbage behind it, and the size as it was."""
    tree, path = _one_file(tmp_path)
    before = tree.truth.files[path]
    changes.overwrite(tree, path, line=1, data=b'{"type":"mode","mode":"normal"}')
    after = tree.truth.files[path]
    assert (after.size, after.entries, after.quarantined) == (before.size, before.entries, 1)
    _check_ledger(tmp_path, tree.truth)


def test_appended_lines_are_exactly_as_many(tmp_path: Path) -> None:
    """The asked number of lines is appended behind the old bytes, and counted."""
    tree, path = _one_file(tmp_path)
    old, before = tree.read(path), tree.truth.files[path]
    changes.append_lines(tree, path, lines=137)
    assert tree.read(path).startswith(old)
    assert tree.truth.files[path].entries == before.entries + 137
    changes.append(tree, path, data=b'{"type":"user"', kind=SpanKind.PENDING)
    _check_ledger(tmp_path, tree.truth)


def test_replaced_file_has_another_inode_and_other_bytes(tmp_path: Path) -> None:
    """A replaced file keeps its name and nothing else."""
    tree, path = _one_file(tmp_path)
    inode, old = (tmp_path / path).stat().st_ino, tree.read(path)
    changes.replace_file(tree, path, lines=9)
    assert (tmp_path / path).stat().st_ino != inode
    assert tree.read(path)[:200] != old[:200]
    assert tree.truth.files[path].entries == 9
    _check_ledger(tmp_path, tree.truth)


def test_moved_and_deleted_files_leave_the_truth(tmp_path: Path) -> None:
    """A moved file is known under its new path, a deleted one not at all."""
    tree, path = _one_file(tmp_path)
    inode = (tmp_path / path).stat().st_ino
    moved = changes.move(tree, path, folder="elsewhere")
    assert (tmp_path / moved).stat().st_ino == inode
    assert path not in tree.truth.files
    changes.delete(tree, moved)
    assert moved not in tree.truth.files
    _check_ledger(tmp_path, tree.truth)


@pytest.mark.parametrize("name", HAZARDS)
def test_every_hazard_is_in_the_readme(name: str) -> None:
    """The table of hazards says of each what its writer's docstring says."""
    says = (HAZARDS[name].__doc__ or "").splitlines()[0]
    assert f"| `{name}` | {says} |" in (EXAMPLES / "README.md").read_text(encoding="utf-8")
