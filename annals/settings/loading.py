"""The settings in force, and what is said of one that is wrong."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from annals.errors import SettingsError
from annals.settings.dotenv import settings_lines
from annals.settings.files import settings_file
from annals.settings.model import Settings

AGENT_ONLY = frozenset(
    {
        "freshness_hours",
        "health_host",
        "health_port",
        "notify_url",
        "notify_with",
        "pipeline_debounce_s",
        "pipeline_interval_s",
        "pipeline_trigger",
        "shutdown_timeout_s",
        "sync_interval_ms",
        "watch_latency_ms",
        "watch_mode",
        "watch_poll_ms",
        "zombie_seconds",
    }
)
"""Settings of programs that keep running (agent, server, worker): stage commands use none."""

_HINT = "Correct the variable or the line; .env.example lists every setting."


def load_settings(*, unused: Collection[str] = (), **overrides: Any) -> Settings:
    """Return the settings in force; ``overrides`` are flags and win over everything.

    A wrong value of a setting in ``unused`` is let pass: it raises where it is used after all.
    Raises SettingsError (exit 3) naming each other setting that is wrong, and its line in the file.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    places = _places(given)
    try:
        return Settings(**given)
    except ValidationError as error:
        wrong = _wrong_names(error)
        if given.keys() & wrong or not wrong <= set(unused):
            raise _refusal(error, places) from error
    return _without(given, places)


def faults(error: ValidationError, places: Mapping[str, str]) -> str:
    """Return what is wrong with which setting; ``places`` says where some of them were set."""
    return "; ".join(text for _, text in _named_faults(error, places))


def _named_faults(error: ValidationError, places: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for fault in error.errors(include_input=False):
        name = ".".join(map(str, fault["loc"]))
        place = f" ({places[name]})" if name in places else ""
        yield name, f"{name.upper()}{place}: {_own_words(fault)}"


def _own_words(fault: Mapping[str, Any]) -> str:
    """Return what is wrong without what the library puts before the words of a check of ours."""
    reason = fault.get("ctx", {}).get("error")
    return str(reason) if isinstance(reason, ValueError) else str(fault["msg"])


def _without(given: Mapping[str, Any], places: Mapping[str, str]) -> Settings:
    """Return the settings with every wrong value replaced by the error that it leads to."""
    invalid: dict[str, SettingsError] = {}
    defaults: dict[str, Any] = {}
    while True:  # a default may make another setting wrong that depends on it
        try:
            settings = Settings(**given, **defaults)
            break
        except ValidationError as error:
            wrong = _wrong_names(error) - invalid.keys()
            if not wrong:
                raise _refusal(error, places) from error
            for name in sorted(wrong):
                invalid[name] = _refusal(error, places, only=name)
                default = Settings.model_fields[name].get_default(call_default_factory=True)
                defaults[name] = default
    for name, fault in invalid.items():
        del settings.__dict__[name]
        settings.model_fields_set.discard(name)
        settings.invalid[name] = fault
    return settings.with_flags(given)  # the defaults are nobody's


def _wrong_names(error: ValidationError) -> set[str]:
    return {str(fault["loc"][0]) for fault in error.errors(include_input=False)}


def _refusal(
    error: ValidationError, places: Mapping[str, str], *, only: str | None = None
) -> SettingsError:
    found = [text for name, text in _named_faults(error, places) if only in (None, name)]
    return SettingsError(f"invalid settings: {'; '.join(found)}", hint=_HINT)


def _places(given: Collection[str]) -> dict[str, str]:
    """Return the line of each setting that comes from the settings file."""
    return {
        name: one.place
        for name, one in settings_lines(settings_file()).items()
        if name not in given and not _in_environment(name)
    }


def _in_environment(name: str) -> bool:
    return any(key.lower() == name and value for key, value in os.environ.items())
