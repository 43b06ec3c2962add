"""Tests of the patterns of IGNORE_PATTERNS: what they match, and that no name takes long."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from annals.watching.ignores import Ignores

_PIECES = (
    "a",
    "b",
    "-",
    ".",
    "*",
    "?",
    "[ab]",
    "[!a]",
    "[b-a]",
    "[]a]",
    "[a",
    "[[:alpha:]-]",
    "\\*",
)
_NAMES = st.lists(st.sampled_from(_PIECES), min_size=1, max_size=5).map("".join)
_BODIES = st.lists(st.one_of(_NAMES, st.just("**")), min_size=1, max_size=4).map("/".join)
_PATTERNS = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", "", "!"]),
    st.sampled_from(["", "", "/", "**/"]),
    _BODIES,
    st.sampled_from(["", "", "/", "/**"]),
)
_PATHS = st.lists(
    st.text("aab-.*]", min_size=1, max_size=4).filter(lambda name: name not in {".", ".."}),
    min_size=1,
    max_size=4,
).map("/".join)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an empty repository, in which git is asked what it ignores."""
    folder = tmp_path_factory.mktemp("repository")
    subprocess.run(["git", "init", "-q", folder], check=True)
    return folder


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(patterns=st.lists(_PATTERNS, min_size=1, max_size=4), paths=st.sets(_PATHS, min_size=1))
def test_patterns_mean_what_git_says(
    repository: Path, patterns: list[str], paths: set[str]
) -> None:
    """R-02 A path is ignored if and only if git ignores it, given the same patterns."""
    ordered = sorted(paths)
    (repository / ".git/info/exclude").write_text("\n".join(patterns) + "\n")
    answer = subprocess.run(
        ["git", "-C", repository, "check-ignore", "--no-index", "-z", "--stdin"],
        input="".join(f"{path}\0" for path in ordered).encode(),
        capture_output=True,
        check=False,
    )
    assert answer.returncode in (0, 1), answer.stderr
    ignores = Ignores(" ".join(patterns))
    ours = [path for path in ordered if _is_left_out(ignores, path)]
    assert ours == answer.stdout.decode().split("\0")[:-1]


def _is_left_out(ignores: Ignores, path: str) -> bool:
    """Ask about the folders first, as the walk does."""
    names = path.split("/")
    folders = ("/".join(names[:depth]) for depth in range(1, len(names)))
    return any(ignores.covers(folder.encode(), is_folder=True) for folder in folders) or (
        ignores.covers(path.encode())
    )


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("*-" * 40 + "*.bak", "-home-u" + "-ab" * 80),
        ("*a" * 40 + "*b", "a" * 255),
        ("*?a" * 40 + "*b", "a" * 255),
        ("*[ab]*" * 40 + "c", "ab" * 127),
        ("**/*-" * 40 + "*.bak", "/".join(["-ab" * 40] * 30)),
        ("**/a*a/" * 40 + "b", "/".join(["a" * 40] * 90)),
        ("/" + "*" * 200 + "x", "a" * 255),
    ],
)
def test_no_pattern_takes_long_on_any_name(pattern: str, name: str) -> None:
    """R-02 Forty stars on a long name take no time to speak of, whatever the name repeats."""
    ignores = Ignores(pattern)
    started = time.process_time()
    assert not ignores.covers(name.encode())
    assert time.process_time() - started < 0.5


@pytest.mark.parametrize(
    "shape",
    [
        "name-{}",
        "*.old{}",
        "copy{}-*",
        "*part{}*",
        "*x{}*",
        "*{}x*.jsonl",
        "0*{}x",
        "/a{}/*",
        "**/{}x/*",
    ],
)
def test_many_patterns_cost_little_for_each_name(shape: str) -> None:
    """R-02 With ten thousand patterns a name that none matches takes less than 2 ms."""
    ignores = Ignores(" ".join(shape.replace("{}", str(number)) for number in range(10_000)))
    paths = [f"-home-u-p/{number:08x}-0000.jsonl".encode() for number in range(100)]
    started = time.process_time()
    assert not any(ignores.covers(path) for path in paths)
    assert time.process_time() - started < 0.2


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("a\\ b.jsonl", "a b.jsonl", "a.jsonl"),
        ("\\#x", "#x", "x"),
        ("\\!x", "!x", "x"),
        ("a[", "a", "a["),
        ("p/**/x", "p/x", "q/x"),
        ("p/**", "p/x/y", "p"),
        ("caf?", "café", "cafés"),
    ],
)
def test_signs_with_a_meaning(pattern: str, yes: str, no: str) -> None:
    """R-02 Escapes, brackets and double stars; a question mark matches a character, not a byte."""
    ignores = Ignores(pattern)
    assert ignores.covers(yes.encode()) is ("[" not in pattern)
    assert not ignores.covers(no.encode())


def test_names_that_are_no_text_are_compared() -> None:
    """R-02 A name of bytes that are not UTF-8 meets patterns too."""
    assert Ignores("*.bak").covers(b"\xff\xfe.bak")


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """R-02 Once so many verdicts are remembered, no more are, and the others are still right."""
    monkeypatch.setattr("annals.watching.ignores._REMEMBERED", 3)
    ignores = Ignores("*x*")
    assert [ignores.covers(b"%dx" % number) for number in range(9)] == [True] * 9
    assert [ignores.covers(b"%dy" % number) for number in range(9)] == [False] * 9
