"""The dbt project as this process has parsed it, for its next run.

dbt takes longer to parse the project than to build a small batch. It compiles into the nodes that
it runs by, and into nothing else of a manifest: each run gets nodes as they were parsed.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import Any

Key = tuple[str, ...]
"""What a manifest depends on: the project, and the settings that its parsing reads."""

_KEPT = 3
_parsed: dict[Key, _Parsed] = {}


@dataclass(frozen=True, slots=True)
class _Parsed:
    manifest: Any
    nodes: bytes


def keep_manifest(key: Key, manifest: Any) -> None:
    """Keep a manifest that no run has compiled into yet; of several projects, the newest few."""
    _parsed.pop(key, None)
    # Its nodes are plain data; the rest of it has locks, and no run changes it.
    _parsed[key] = _Parsed(manifest, pickle.dumps(manifest.nodes, pickle.HIGHEST_PROTOCOL))
    for oldest in list(_parsed)[:-_KEPT]:
        del _parsed[oldest]


def parsed_before(key: Key) -> Any:
    """Return the manifest as it was parsed; None if this process has not parsed it."""
    if (known := _parsed.get(key)) is None:
        return None
    known.manifest.nodes = pickle.loads(known.nodes)  # noqa: S301 - our own bytes
    return known.manifest
