"""Whether a run of dbt did all that it was to do: every selected node, with a result of success.

dbt reports a node that it skipped, or never ran, beside those that it built, and gives an ephemeral
model no result at all. So the selection comes from the manifest, a status comes from dbt's events
for every node, and what is missing on either side is a failure (docs/specs/completeness.md).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Command = Literal["run", "build", "test"]

STATIC_TAG = "static"
"""Models that the data has no part in: an incremental run leaves them out."""

MODELS = frozenset({"model", "seed", "snapshot"})
_SELECTED: Mapping[Command, frozenset[str]] = {  # the loader reads the seeds, see loaders.prices
    "run": frozenset({"model"}),
    "build": frozenset({"model", "snapshot", "test", "unit_test"}),
    "test": frozenset({"test", "unit_test"}),
}
_STALE_TABLES = {"CatalogException", "BinderException", "CompilationError"}
"""What DuckDB and dbt raise where a table on disk is not what the project now expects."""

STATUS_EVENTS = ("NodeFinished", "MarkSkippedChildren")
"""The events of dbt that give a node's status."""

_QUOTED_LINE = re.compile(r"^\s*LINE [0-9]+: (.*)$", re.MULTILINE)

_SUCCESS = {"test": "pass", "unit_test": "pass"}
_SEVERITY = ("error", "runtime error", "fail", "partial success", "warn", "skipped", "missing")


@dataclass(frozen=True, slots=True)
class NodeResult:
    """What became of one node. ``status`` is dbt's word, or ``missing`` if dbt reported none.

    ``place`` is the node's file below the project, with the line that the message shows, if it is
    in there.
    """

    name: str
    kind: str
    status: str
    message: str = ""
    failures: int | None = None
    error: BaseException | None = None
    place: str = ""

    @property
    def is_success(self) -> bool:
        """Return whether this is the one status that counts for a node of its kind."""
        return self.status == _SUCCESS.get(self.kind, "success")


@dataclass(slots=True)
class NodeStatuses:
    """The status of each node by its unique id, collected from dbt's events."""

    found: dict[str, tuple[str, str]] = field(default_factory=dict)
    errors: dict[str, BaseException] = field(default_factory=dict)
    """What each node raised: dbt's own results keep only the sentence of it."""

    def collect(self, event: Any) -> None:
        """Note the status that an event reports; other events are passed over."""
        if event.info.name in STATUS_EVENTS:
            result = event.data.run_result
            unique_id = getattr(event.data, "unique_id", "") or event.data.node_info.unique_id
            self.found[unique_id] = (str(result.status), str(result.message))


def selected_nodes(manifest: Any, command: Command, *, with_static: bool) -> dict[str, Any]:
    """Return the nodes of the project that ``command`` has to run, by unique id."""
    nodes = {**manifest.nodes, **manifest.unit_tests}
    return {
        unique_id: node
        for unique_id, node in nodes.items()
        if str(node.resource_type) in _SELECTED[command]
        and (with_static or STATIC_TAG not in node.config.tags)
    }


def judge(selected: Mapping[str, Any], results: Any, statuses: NodeStatuses) -> list[NodeResult]:
    """Return what became of every selected node, and of every other one that dbt ran.

    ``results`` are dbt's own; an ephemeral model is only in ``statuses``.
    """
    reported = {str(result.node.unique_id): result for result in results}
    judged = {
        key: _judged(node, reported.get(key), statuses.found.get(key))
        for key, node in selected.items()
    }
    for key, result in reported.items():
        if key not in selected and not _is_declared(result):
            judged[key] = _from_result(result)
    return [replace(node, error=statuses.errors.get(key)) for key, node in judged.items()]


def unsuccessful_results(judged: list[NodeResult]) -> list[NodeResult]:
    """Return the nodes that were not built or did not pass, the cause before what it led to."""
    return sorted(
        (node for node in judged if not node.is_success),
        key=lambda node: (_severity(node.status), node.kind not in MODELS),
    )


def remedy(error: BaseException | None, *, is_full: bool) -> str:
    """Return what to do after a failed run; a full build only where that can help.

    ``error`` is what the failed node raised; what led to it counts too.
    """
    if not is_full and _is_stale(error):
        return "Run `annals transform --full-refresh`: it builds every table from the lake."
    return (
        "Correct the cause that the message names, then run `annals pipeline`; what is pending"
        " is kept until it is built."
    )


def _is_stale(error: BaseException | None) -> bool:
    while error is not None:
        if any(kind.__name__ in _STALE_TABLES for kind in type(error).__mro__):
            return True
        error = error.__cause__
    return False


def built_relations(selected: Mapping[str, Any]) -> Iterator[str]:
    """Yield ``schema.name`` of every selected model that is a table or a view."""
    for node in selected.values():
        if str(node.resource_type) in MODELS and not node.is_ephemeral_model:
            yield f"{node.schema}.{node.alias}"


def _judged(node: Any, result: Any, status: tuple[str, str] | None) -> NodeResult:
    if result is not None:
        return _from_result(result)
    kind, name = str(node.resource_type), str(node.name)
    if status is None or not getattr(node, "is_ephemeral_model", False):
        return NodeResult(name, kind, "missing", "dbt reported no result")
    return NodeResult(name, kind, *status)


def _from_result(result: Any) -> NodeResult:
    node = result.node
    return NodeResult(
        str(node.name),
        str(node.resource_type),
        str(result.status),
        str(result.message or ""),
        getattr(result, "failures", None),
        place=_place(node, str(result.message or "")),
    )


def _place(node: Any, message: str) -> str:
    """Return the file of a node, and the line of it that DuckDB quotes.

    The number in the message is one of the compiled query, so the quoted text is looked up in the
    file: it counts if exactly one line there has it.
    """
    file = str(getattr(node, "original_file_path", ""))
    quoted = _QUOTED_LINE.search(message)
    lines = str(getattr(node, "raw_code", "")).splitlines()
    text = quoted[1].strip().strip(".").strip() if quoted else ""
    numbers = [number for number, line in enumerate(lines, 1) if text and text in line]
    return f"{file}, line {numbers[0]}" if file and len(numbers) == 1 else file


def _is_declared(result: Any) -> bool:
    """Return whether a node is only declared: dbt has nothing to build for an exposure."""
    return str(result.node.resource_type) == "exposure"


def _severity(status: str) -> int:
    return _SEVERITY.index(status) if status in _SEVERITY else 0
