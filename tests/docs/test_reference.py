"""The papers agree with the code: every setting, command and exit code is described."""

from __future__ import annotations

import re
from typing import Any

import pytest

from analytics.cli import reference
from annals import errors
from annals.errors import AnalyticsError
from annals.settings import Settings
from tests.conftest import ROOT, Run

COMMANDS = dict(reference.commands())
REPORTING = set(COMMANDS) - {"annals version"}
WITHOUT_JSON = {"annals sync run", "annals statusline", "annals sessions export"}
PROMISED = {
    "annals backup",
    "annals config show",
    "annals doctor",
    "annals down",
    "annals extract",
    "annals iceberg info",
    "annals iceberg snapshots",
    "annals load",
    "annals pipeline",
    "annals publish",
    "annals repair",
    "annals restore",
    "annals sessions export",
    "annals sessions list",
    "annals sessions restore",
    "annals sessions show",
    "annals status",
    "annals statusline",
    "annals sync allow",
    "annals sync flush",
    "annals sync install",
    "annals sync log",
    "annals sync once",
    "annals sync quarantine list",
    "annals sync quarantine retry",
    "annals sync quarantine show",
    "annals sync replay",
    "annals sync run",
    "annals sync status",
    "annals sync uninstall",
    "annals transform",
    "annals up",
    "annals usage blocks",
    "annals usage branches",
    "annals usage daily",
    "annals usage hosts",
    "annals usage models",
    "annals usage monthly",
    "annals usage projects",
    "annals usage session",
    "annals usage tools",
    "annals usage weekly",
    "annals validate",
    "annals version",
}


@pytest.mark.parametrize("path", sorted(reference.files(ROOT)), ids=lambda path: path.name)
def test_generated_papers_are_current(path: Any) -> None:
    """Each generated file is what the code says; `make reference` writes it again."""
    assert path.read_text(encoding="utf-8") == reference.files(ROOT)[path]


def test_every_command_that_was_promised_is_there() -> None:
    """The commands of this version, no more and no fewer."""
    assert set(COMMANDS) == PROMISED


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_says_what_it_does_with_an_example(name: str, in_process: Run) -> None:
    """--help describes the command, each of its options, and ends with an example that parses."""
    command = COMMANDS[name]
    assert f"## {name}\n" in reference.commands_reference()
    done = in_process(*name.split()[1:], "--help")
    assert done.code == 0
    example = re.search(r"Example: (annals .+)", " ".join(done.out.split()))
    assert example, done.out
    assert " ".join(name.split()[1:]) in example[1]
    assert all(option.help for option in command.params if option.name != "help")
    words = example[1].split()[1:]
    assert in_process(*words, "--help").code == 0


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - WITHOUT_JSON))
def test_every_command_can_answer_in_json(name: str) -> None:
    """Each command has --json; the agent, which runs until it is stopped, answers on a port.

    A status line is one line, and an export has the transcript's own bytes.
    """
    assert "--json" in {text for option in COMMANDS[name].params for text in option.opts}


def test_every_error_has_a_row_with_its_code() -> None:
    """Each class of the error tree is in docs/reference/exit-codes.md and in the tree's drawing."""
    text = reference.exit_codes_reference()
    kinds = [AnalyticsError]
    for kind in kinds:
        kinds += [one for one in kind.__subclasses__() if one.__module__ == errors.__name__]
    for kind in kinds:
        assert f"| {kind.exit_code} | `{kind.__name__}` |" in text
        assert re.search(rf"{kind.__name__}\b", errors.__doc__ or "")


def test_settings_that_papers_name_exist() -> None:
    """A setting that README or ARCHITECTURE names in its table of places is one."""
    known = {name.upper() for name in Settings.model_fields}
    for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("| ") and line.count("|") == 4:
            named = re.findall(r"`([A-Z_]{4,})` \|$", line)
            assert set(named) <= known, line
