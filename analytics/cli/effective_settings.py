"""Which settings a command runs with, and whether they mean the bundled sample."""

from __future__ import annotations

import sys
from collections.abc import Collection
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

import typer

from analytics.cli.output import tell
from annals.errors import UsageError

if TYPE_CHECKING:
    from annals.settings import Settings


class Uses(Enum):
    """Which settings have to be right before a command begins; any other raises where it is used.

    ``REPORTS``: none, for commands that only read. ``STAGES``: all but those of programs that keep
    running. ``ALL``: every one.
    """

    REPORTS = "reports"
    STAGES = "stages"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class InForce:
    """The settings in force; ``flags`` are those given on the command line.

    ``configured`` is what the sources say, ``settings`` the same unless ``sample``.
    """

    settings: Settings
    configured: Settings
    sample: bool
    flags: dict[str, Any] = field(default_factory=dict)


def in_force(context: typer.Context, *, uses: Uses = Uses.STAGES, **flags: Any) -> InForce:
    """Read the settings for a command; its own ``flags`` win over ``--set``, that over the rest.

    Where they mean the sample (docs/reference/commands.md), standard error says so.
    Raises SettingsError (exit 3), UsageError for a ``--set`` of no such setting.
    """
    from annals.settings.sample import sample_note, sample_settings, wants_sample

    given = {**_assignments(context), **{key: flag for key, flag in flags.items() if flag}}
    settings = configured(context, uses=uses, **flags)
    if not wants_sample(settings):
        return InForce(settings, settings, sample=False, flags=given)
    sys.stderr.write(f"note: {sample_note()}\n")
    return InForce(sample_settings(settings), settings, sample=True, flags=given)


def configured(context: typer.Context, *, uses: Uses = Uses.ALL, **flags: Any) -> Settings:
    """Return what the sources say, for a command that never means the sample.

    Wrong settings that the command does not use, and names in the settings file that look like
    settings and are not, are warnings on standard error, once.
    Raises SettingsError (exit 3), UsageError for a ``--set`` of no such setting.
    """
    from annals.settings import load_settings

    given = {**_assignments(context), **{key: flag for key, flag in flags.items() if flag}}
    settings = load_settings(unused=_unused(uses), **given)
    _warn_once(context, settings)
    _note_roots(context, settings)
    return settings


def _unused(uses: Uses) -> Collection[str]:
    from annals.settings import Settings
    from annals.settings.loading import AGENT_ONLY

    if uses is Uses.REPORTS:
        return Settings.model_fields
    return AGENT_ONLY if uses is Uses.STAGES else ()


def _note_roots(context: typer.Context, settings: Settings) -> None:
    """Say once which folder a CLAUDE_DIR means if it is not the one that it names."""
    from annals.settings.roots import root_notes

    if "claude_dir" in settings.invalid:
        return
    told = context.find_root().ensure_object(dict)
    if not told.setdefault("roots", False):
        told["roots"] = True
        for note in root_notes(settings.given_claude_dirs):
            sys.stderr.write(f"note: {note}\n")


def _warn_once(context: typer.Context, settings: Settings) -> None:
    from annals.settings.timezone import timezone_warning
    from annals.settings.typo_check import find_typos

    told = context.find_root().ensure_object(dict)
    if told.setdefault("warned", False):
        return
    told["warned"] = True
    for fault in settings.invalid.values():
        says = fault.message.removeprefix("invalid settings: ")
        tell(f"warning: {says}; this command goes on without it")
    is_zone_named = "timezone" in {*settings.model_fields_set, *settings.invalid}
    zone = None if is_zone_named else timezone_warning()
    for says in (*find_typos(), *filter(None, (zone,))):
        tell(f"warning: {says}")


def _assignments(context: typer.Context) -> dict[str, str]:
    """Return the values of ``--set NAME=VALUE`` by the setting's name."""
    from annals.settings import Settings

    values = {}
    for assignment in (context.find_root().obj or {}).get("assignments", ()):
        name, equals, value = assignment.partition("=")
        if not equals or name.lower() not in Settings.model_fields:
            raise UsageError(
                f"--set {assignment}: {'no such setting' if equals else 'no = in it'}",
                hint="Write --set NAME=VALUE; `annals config show` lists the names.",
            )
        values[name.lower()] = value
    return values
