"""The dbt project, run in this process: quiet, with its artefacts outside the project folder."""

from __future__ import annotations

import contextlib
import json
import os
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from annals.errors import AnalyticsError, QualityError, WarehouseError
from annals.files import make_folder, require_plain_tree
from annals.process.environments import own_variables
from annals.resources import resource
from annals.settings import Settings
from loaders import parsed_project
from loaders.brisk_dbt import make_runner, replace_attribute, run_faster
from loaders.build_faults import full_disk
from loaders.dbt_outcome import (
    MODELS,
    STATUS_EVENTS,
    Command,
    NodeResult,
    NodeStatuses,
    built_relations,
    judge,
    remedy,
    selected_nodes,
    unsuccessful_results,
)
from loaders.memory import memory_limit
from loaders.warehouse import error_for, held_open, require_openable
from loaders.warehouse_errors import Fault, database_fault, is_of_database, quotes_values

PROJECT_FOLDER = resource("dbt")
"""The project that ships with the program."""

_SOURCES = ("*.sql", "*.yml", "*.csv", "*.py")
_ARTEFACTS = {"target", "logs", "dbt_packages"}
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_MESSAGE_LENGTH = 400
_RESULTS = {
    "LogModelResult": "total",
    "LogTestResult": "num_models",
    "LogSeedResult": "total",
    "LogSnapshotResult": "total",
}
"""The events of dbt that report a node as done, and their field with the number of nodes."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a successful run of dbt did; ``relations`` are the tables and views that it built."""

    models_built: int
    tests_run: int
    relations: tuple[str, ...] = ()


def project_hash(project: Path) -> str:
    """Return a hash over the names and contents of the project's files."""
    digest = sha256()
    for path in sorted(found for shape in _SOURCES for found in project.rglob(shape)):
        relative = path.relative_to(project)
        if relative.parts[0] in _ARTEFACTS or path.name == "profiles.yml":
            continue
        digest.update(f"{relative.as_posix()}\0".encode())
        digest.update(sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def run_dbt(
    settings: Settings,
    command: Command,
    *,
    project: Path = PROJECT_FOLDER,
    full_refresh: bool = False,
    on_node: Callable[[int, int], None] | None = None,
) -> Outcome:
    """Run the project's models, with ``build`` its tests too, and give DuckDB's file back.

    A ``run`` without ``full_refresh`` leaves out what the data has no part in (``tag:static``).
    ``on_node`` is called with how many models and tests are done, and of how many. It is a success
    only if every selected node, ephemeral ones included, returned success. Raises WarehouseError
    naming the model that failed or was left out, QualityError (exit 5) naming the test,
    DiskFullError (exit 10).
    """
    _require_own_folder(settings)
    key = _parse_key(settings, project)
    arguments = _arguments(settings, command, project, full_refresh=full_refresh)
    swift = run_faster(is_checked=command == "run", events=(*_RESULTS, *STATUS_EVENTS))
    with held_open(settings), _environment(settings), _calm(), swift:
        try:
            run = _invoke(arguments, on_node, key)
        finally:
            _release()
    if run.result.exception is not None:
        raise _unexplained(settings, run.result.exception) from run.result.exception
    if run.manifest is None:
        raise _explained(settings, "dbt did not run", "it did not read the project")
    with_static = full_refresh or command != "run"
    selected = selected_nodes(run.manifest, command, with_static=with_static)
    return _outcome(settings, run, selected, is_full=full_refresh)


def _outcome(
    settings: Settings, run: _Run, selected: Mapping[str, Any], *, is_full: bool
) -> Outcome:
    """Return what a run did; raise the error for the first node without success."""
    judged = judge(selected, run.result.result or (), run.statuses)
    if failed := unsuccessful_results(judged):
        raise _failure(settings, failed, is_full=is_full)
    if not run.result.success:
        raise _explained(settings, "dbt reports a failure", "it names no node")
    relations = tuple(built_relations(selected))
    models = sum(node.kind == "model" for node in judged)
    ephemeral = sum(bool(getattr(node, "is_ephemeral_model", False)) for node in selected.values())
    tests = sum(node.kind not in MODELS for node in judged)
    return Outcome(models - ephemeral, tests, relations)


def prepare(settings: Settings, *, project: Path = PROJECT_FOLDER) -> None:
    """Import dbt and parse the project, so that the next run of this process need not.

    Touches no database. What is wrong with the project is left for that run to say.
    """
    _require_own_folder(settings)
    with _environment(settings), _calm(), run_faster(is_checked=True):
        try:
            result = make_runner().invoke(_arguments(settings, "parse", project))
        finally:
            _release()
    if result.success:
        parsed_project.keep_manifest(_parse_key(settings, project), result.result)


def _parse_key(settings: Settings, project: Path) -> parsed_project.Key:
    """Return what a manifest depends on: DuckDB names a database by its file."""
    read = (settings.dbt_target, settings.timezone, settings.warehouse_file.stem)
    return (project_hash(project), str(project), *read)


@dataclass(frozen=True, slots=True)
class _Run:
    """What dbt answered: its result, the manifest it ran by, and the status of each node."""

    result: Any
    manifest: Any
    statuses: NodeStatuses


def _invoke(
    arguments: list[str], on_node: Callable[[int, int], None] | None, key: parsed_project.Key
) -> _Run:
    done = 0
    statuses = NodeStatuses()

    def heard(event: Any) -> None:
        nonlocal done
        statuses.collect(event)
        if on_node is not None and (total := _RESULTS.get(event.info.name)):
            done += 1
            on_node(done, max(done, getattr(event.data, total)))

    invoked = make_runner(manifest=parsed_project.parsed_before(key), callbacks=[heard])
    with _manifests(key) as manifests, _raised(statuses):
        result = invoked.invoke(arguments)
    return _Run(result, manifests[-1] if manifests else None, statuses)


@contextlib.contextmanager
def _manifests(key: parsed_project.Key) -> Iterator[list[Any]]:
    """Collect the manifest that dbt runs by, and keep one that it has just parsed.

    Its runner does not return the one it parsed.
    """
    from dbt.cli import requires  # noqa: PLC0415 - dbt is loaded by now

    original = requires.setup_manifest
    manifests: list[Any] = []

    def setup_manifest(context: Any, **options: Any) -> None:
        is_new = context.obj.get("manifest") is None
        original(context, **options)
        manifests.append(context.obj["manifest"])
        if is_new:
            parsed_project.keep_manifest(key, manifests[-1])

    with replace_attribute(requires, "setup_manifest", setup_manifest):
        yield manifests


@contextlib.contextmanager
def _raised(statuses: NodeStatuses) -> Iterator[None]:
    """Collect what nodes raise: dbt reports the sentence alone, and no class decides by that."""
    from dbt.task.base import BaseRunner  # noqa: PLC0415 - dbt is loaded by now

    original = BaseRunner.handle_exception

    def handle_exception(runner: Any, error: Exception, context: Any) -> Any:
        statuses.errors[str(context.node.unique_id)] = error
        return original(runner, error, context)

    with replace_attribute(BaseRunner, "handle_exception", handle_exception):
        yield


def _calm() -> contextlib.AbstractContextManager[Any]:
    """Keep quiet about warnings of dbt's own parts; in tests a warning of ours is an error."""
    return warnings.catch_warnings(action="ignore")


def _require_own_folder(settings: Settings) -> None:
    """Make dbt's folder; raise SettingsError if anything in it is not ours or is a link.

    dbt opens some two hundred files of names that anybody can guess, and follows links.
    """
    require_plain_tree(make_folder(_folder(settings)))


def _folder(settings: Settings) -> Path:
    return settings.annals_home / "dbt"


def _arguments(
    settings: Settings, command: str, project: Path, *, full_refresh: bool = False
) -> list[str]:
    folder = _folder(settings)
    quiet = ["--quiet", "--no-print", "--no-use-colors", "--log-level", "none"]
    lean = ["--no-write-json", "--no-version-check", "--cache-selected-only", "--static-parser"]
    left_out = ["--exclude-resource-type=seed"] if command == "build" else []
    if command == "run" and not full_refresh:
        left_out = ["--exclude=tag:static"]
    return [
        *quiet,
        "--log-level-file=none",
        f"--log-path={folder / 'logs'}",
        "--no-send-anonymous-usage-stats",
        command,
        *lean,
        f"--project-dir={project}",
        f"--profiles-dir={project}",
        f"--target={settings.dbt_target}",
        f"--target-path={folder / 'target'}",
        f"--vars={json.dumps({'timezone': settings.timezone})}",
        *left_out,
        *(["--full-refresh"] if full_refresh else []),
    ]


@contextlib.contextmanager
def _environment(settings: Settings) -> Iterator[None]:
    """Set what profiles.yml reads and remove other options of dbt, for the time of one run."""
    wanted = {
        "HOME": os.environ.get("HOME", str(settings.annals_home)),
        "DUCKDB_PATH": str(settings.warehouse_file),
        "DUCKDB_MEMORY_LIMIT": memory_limit(settings),
        "DUCKDB_THREADS": str(settings.duckdb_threads),
        "DUCKDB_ERRORS_AS_JSON": "true",
        "DBT_TARGET": settings.dbt_target,
        "TIMEZONE": settings.timezone,
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DO_NOT_TRACK": "1",
    }
    with own_variables(wanted):
        yield


def _release() -> None:
    """Close what dbt keeps open; without it DuckDB's file stays locked."""
    from dbt.adapters.duckdb.connections import (  # noqa: PLC0415 - dbt is loaded by now
        DuckDBConnectionManager,
    )
    from dbt.adapters.factory import reset_adapters  # noqa: PLC0415

    environment = DuckDBConnectionManager._ENV  # noqa: SLF001 - close_all only forgets it
    DuckDBConnectionManager.close_all_connections()
    if environment is not None:
        environment.close()
    reset_adapters()


def _failure(settings: Settings, failed: Sequence[NodeResult], *, is_full: bool) -> AnalyticsError:
    """Return the error for the first node without success; a cause comes before its effects."""
    first = failed[0]
    others = f" (and {len(failed) - 1} more)" if failed[1:] else ""
    if first.kind not in MODELS and first.status in ("fail", "warn"):
        return QualityError(
            f"the test {first.name} failed{others}: {_shortened(first.message)}",
            hint="`annals validate` shows which rows; the published build is left as it was.",
            test=first.name,
            failures=first.failures,
        )
    what = "failed" if first.status in ("error", "runtime error") else f"is {first.status}"
    place = f" ({first.place})" if first.place else ""
    what = f"the {first.kind} {first.name}{place} {what}{others}"
    return _explained(settings, what, first.error or first.message, is_full=is_full)


def _unexplained(settings: Settings, error: BaseException) -> BaseException:
    if not isinstance(error, Exception):
        return error  # an interrupt stays one
    if (full := full_disk(error, settings.annals_home / "dbt")) is not None:
        return full
    cause = database_fault(error)
    if cause is not error or is_of_database(cause):
        with contextlib.suppress(OSError):
            require_openable(settings)
    return _explained(settings, "dbt could not start", error)


def _explained(
    settings: Settings, what: str, error: BaseException | str, *, is_full: bool = True
) -> AnalyticsError:
    raised = error if isinstance(error, BaseException) else None
    if raised is not None and is_of_database(database_fault(raised)):
        known = error_for(settings.warehouse_file, raised, settings=settings)
        if not isinstance(known, WarehouseError) or known.context.keys() & {"damaged", "limit"}:
            return known
    return WarehouseError(
        f"{what}: {_shown(error)}",
        hint=remedy(raised, is_full=is_full),
        path=settings.warehouse_file,
    )


def _shown(error: BaseException | str) -> str:
    """Return what was raised, without the values that DuckDB quotes from the data."""
    if isinstance(error, str):
        return _shortened(error)
    text = Fault.of(error).text
    if quotes_values(database_fault(error)):
        text = _QUOTED.sub("'...'", text)
    return _shortened(text)


def _shortened(message: str | None) -> str:
    return " ".join((message or "no message").split())[:_MESSAGE_LENGTH]
