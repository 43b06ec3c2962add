"""Runs dbt without the work that a small batch does not need, which is most of its time."""

from __future__ import annotations

import contextlib
import gc
import importlib
import re
import sys
from collections.abc import Collection, Iterator, Sequence
from typing import Any

_WITH = re.compile(
    r"(?>\s|--[^\n]*+\n|/\*(?>[^*]|\*(?!/))*+\*/)*+with\s++(?:recursive\s++)?", re.IGNORECASE
)
_UNREAD = re.compile(r"'[^']*'|\"[^\"]*\"|--[^\n]*|/\*(?>[^*]|\*(?!/))*+\*/")
"""Text and comments, in which a semicolon ends nothing."""


def make_runner(**options: Any) -> Any:
    """Return a runner of dbt, importing it where that was not done yet.

    Its more than a thousand dataclasses get their code when they are first used, which most of them
    never are: that halves the two seconds of the import.
    """
    _load_dbt()
    from dbt.cli.main import dbtRunner  # noqa: PLC0415 - more than a second, not always needed

    return dbtRunner(**options)


def _load_dbt() -> None:
    from mashumaro.config import BaseConfig  # noqa: PLC0415 - as dbt

    if "dbt.cli.main" not in sys.modules:
        BaseConfig.lazy_compilation = True
        importlib.import_module("dbt.cli.main")


@contextlib.contextmanager
def run_faster(*, is_checked: bool, events: Collection[str] = ()) -> Iterator[None]:
    """Take a third off what dbt takes to start and to compile.

    The collector, which finds nothing in dbt's classes, rests. Only the named events are written
    out. A project that a full build has checked against dbt's JSON schemas is not checked again.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        _load_dbt()
        unchecked = _skip_validation() if is_checked else contextlib.nullcontext()
        with unchecked, _skip_events(events), _parsed_once():
            yield
    finally:
        if collects:
            gc.enable()


@contextlib.contextmanager
def replace_attribute(owner: object, name: str, value: object) -> Iterator[None]:
    """Put a value in the place of a function of dbt for a while."""
    original = vars(owner)[name]
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, original)


@contextlib.contextmanager
def _skip_validation() -> Iterator[None]:
    from dbt_common.behavior_flags import BehaviorFlagRendered  # noqa: PLC0415 - part of dbt
    from dbt_common.dataclass_schema import dbtClassMixin  # noqa: PLC0415

    with (
        replace_attribute(dbtClassMixin, "validate", classmethod(lambda _cls, _data: None)),
        # the default searches the source of all modules for a name that is never shown
        replace_attribute(BehaviorFlagRendered, "_default_source", staticmethod(lambda: "dbt")),
    ):
        yield


@contextlib.contextmanager
def _parsed_once() -> Iterator[None]:
    """Read the syntax of each macro once: dbt asks for half of them again, and changes none."""
    from jinja2 import Environment  # noqa: PLC0415 - as dbt

    parse = Environment.parse
    known: dict[str, Any] = {}

    def parse_once(environment: Any, source: str, *named: Any) -> Any:
        if named or type(environment).__name__ != "MacroFuzzEnvironment":
            return parse(environment, source, *named)
        if source not in known:
            known[source] = parse(environment, source)
        return known[source]

    with replace_attribute(Environment, "parse", parse_once):
        yield


@contextlib.contextmanager
def _skip_events(events: Collection[str]) -> Iterator[None]:
    """Skip events without a listener, and dbt's parsing of SQL if a pattern is enough."""
    from dbt_common.events.event_manager import EventManager  # noqa: PLC0415

    from dbt import compilation  # noqa: PLC0415 - loaded by now

    fire, inject = EventManager.fire_event, compilation.inject_ctes_into_sql

    def fire_event(manager: Any, event: Any, *given: Any, **named: Any) -> None:
        if type(event).__name__ in events:
            fire(manager, event, *given, **named)

    def inject_ctes(sql: str, ctes: Sequence[Any]) -> str:
        injected = with_ctes(sql, [cte.sql for cte in ctes])
        return inject(sql, ctes) if injected is None else injected

    with (
        replace_attribute(EventManager, "fire_event", fire_event),
        replace_attribute(compilation, "inject_ctes_into_sql", inject_ctes),
    ):
        yield


def with_ctes(sql: str, ctes: Sequence[str]) -> str | None:
    """Return a query with more expressions at the head of its ``with``, as dbt puts them there.

    None, for dbt to parse it, if it does not begin with one or may be several statements.
    """
    if (head := _WITH.match(sql)) is None or ";" in _UNREAD.sub("", sql):
        return None
    return "".join([sql[: head.end()], *(f"{cte}, " for cte in ctes), sql[head.end() :]])
