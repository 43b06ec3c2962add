""".env.example and the settings reference."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from annals.settings import Settings, load_settings
from annals.settings.stack import INSIDE, NOT_INSIDE, StackSettings, read_stack
from annals.settings.template import env_example, settings_reference, stack_env_example
from tests.conftest import ROOT, WriteSettings


def test_the_file_in_the_repository_is_the_generated_one() -> None:
    """.env.example is what the settings class says; `make reference` writes it again."""
    assert (ROOT / ".env.example").read_text(encoding="utf-8") == env_example()


def test_every_setting_has_one_line_of_meaning() -> None:
    """Each setting is in .env.example with exactly one comment line above it."""
    for name, field in Settings.model_fields.items():
        assert field.description
        assert "\n" not in field.description
        assert f"# {field.description}\n# {name.upper()}=" in env_example()
        assert f"| `{name.upper()}` |" in settings_reference()


def test_uncommented_it_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, settings_text: WriteSettings
) -> None:
    """A .env made of all its assignments leaves every default as it was."""
    before = load_settings()
    settings_text(re.sub(r"^# ([A-Z_0-9]+=)", r"\1", env_example(), flags=re.MULTILINE))
    assert load_settings() == before


def test_every_setting_of_the_stack_is_in_its_example(home: Path) -> None:
    """Each of the stack, and of the others each that can be changed in it, stands there once."""
    text = stack_env_example()
    assert (ROOT / ".env.analytics.example").read_text(encoding="utf-8") == text
    for name, field in StackSettings.model_fields.items():
        assert f"# {field.description}\n# {name.upper()}=" in text
        assert f"| `{name.upper()}` |" in settings_reference()
    for name in {*Settings.model_fields, *StackSettings.model_fields}:
        found = re.findall(rf"^# {name.upper()}=", text, re.MULTILINE)
        assert len(found) == (name not in NOT_INSIDE), name
    for name, value in INSIDE.items():
        assert f"# {name.upper()}={value}\n" in text


def test_the_stack_is_the_same_with_its_example_uncommented(home: Path) -> None:
    """A .env.analytics made of all assignments is taken, and leaves every default as it was."""
    before = read_stack(home, {}).stack
    text = re.sub(r"^# ([A-Z_0-9]+=)", r"\1", stack_env_example(), flags=re.MULTILINE)
    (home / ".env.analytics").write_text(text)
    assert read_stack(home, {}).stack == before
