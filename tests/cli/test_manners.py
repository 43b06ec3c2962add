"""What every command and group has in common: help, version, summaries of one short sentence."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from analytics.cli.app import app
from annals import __version__
from tests.conftest import Run

LONGEST_SENTENCE = 60


def _tree(names: tuple[str, ...], command: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield names, command
    for name, child in getattr(command, "commands", {}).items():
        yield from _tree((*names, name), child)


TREE = dict(_tree((), typer.main.get_command(app)))
GROUPS = [names for names, command in TREE.items() if hasattr(command, "commands")]
EVERY = pytest.mark.parametrize("names", TREE, ids=lambda names: " ".join(("annals", *names)))


@EVERY
def test_the_short_option_shows_the_same_help(names: tuple[str, ...], in_process: Run) -> None:
    """`-h` is `--help`, of every command and group."""
    short, long = in_process(*names, "-h"), in_process(*names, "--help")
    assert short.code == 0
    assert short.out == long.out
    assert "-h, --help" in short.out


@EVERY
def test_the_first_sentence_of_the_help_is_short(names: tuple[str, ...]) -> None:
    """It has at most 60 characters, begins with a capital and ends with a full stop."""
    paragraph = " ".join(TREE[names].help.split("\n\n")[0].split())
    sentence = re.split(r"(?<=\.)\s", paragraph)[0]
    assert len(sentence) <= LONGEST_SENTENCE, f"{len(sentence)}: {sentence}"
    assert re.fullmatch(r"[A-Z].*\.", sentence), sentence


@pytest.mark.parametrize("names", GROUPS, ids=lambda names: " ".join(("annals", *names)))
def test_a_group_without_a_command_shows_its_help(
    names: tuple[str, ...], in_process: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is an answer and no error, and at 80 columns no summary in it is cut."""
    monkeypatch.setenv("COLUMNS", "80")
    done = in_process(*names)
    assert done.code == 0
    assert done.err == ""
    assert done.out == in_process(*names, "--help").out
    assert "..." not in done.out.partition("Commands:")[2]
    assert max(map(len, done.out.splitlines())) <= 80


def test_the_version_is_printed_in_both_ways(in_process: Run) -> None:
    """`--version` names the program, `version` prints the number alone."""
    assert in_process("--version").out == f"annals {__version__}\n"
    assert in_process("version").out == f"{__version__}\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes_commands(
    shell: str, in_process: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shell asks the program itself which words may follow."""
    monkeypatch.setenv("_ANNALS_COMPLETE", f"complete_{shell}")
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", "annals usage d")
    monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")
    monkeypatch.setenv("COMP_WORDS", "annals usage d")
    monkeypatch.setenv("COMP_CWORD", "2")
    done = in_process()
    assert done.code == 0
    assert "daily" in done.out


def test_the_script_for_completion_is_shown(
    in_process: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--show-completion SHELL` prints what a start file of the shell would hold."""
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    done = in_process("--show-completion", "bash")
    assert done.code == 0
    assert "_ANNALS_COMPLETE=complete_bash" in done.out


EMPTY = [
    (*names, *form)
    for names, command in TREE.items()
    for parameter in command.params
    if not getattr(parameter, "is_flag", False) and "--help" not in parameter.opts
    for form in (
        [(parameter.opts[0], ""), (f"{parameter.opts[0]}=",)]
        if parameter.param_type_name == "option"
        else [("",)]
    )
]


def test_an_empty_text_is_never_the_working_folder(in_process: Run) -> None:
    """Every option and argument of every command refuses it, names itself, and does nothing."""
    assert ("sessions", "restore", "--to", "") in EMPTY
    for words in EMPTY:
        done = in_process(*words)
        named = words[-2] if words[-2:-1] and words[-2].startswith("-") else words[-1].rstrip("=")
        assert done.code == 2, words
        assert f"{named or 'an argument'} is given an empty text" in done.err, words
