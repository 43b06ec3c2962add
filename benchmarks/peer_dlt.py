"""The peer: dlt loads the same files into DuckDB, as its users would write it.

One dict a line, merge on file and line number, nested values kept as JSON columns: with dlt's
default they become thousands of columns (file names are keys in transcripts), and a tenth of the
data is not loaded after five minutes. Everything else is left at dlt's defaults, or, where a load
format is given as third argument, tuned. Run in a process of its own, with dlt installed
(requirements/bench.txt).
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def records(root: Path) -> Iterator[list[dict[str, Any]]]:
    """Yield the records of each file below ``root``, with where they stand."""
    for path in sorted(root.rglob("*.jsonl")):
        name = str(path.relative_to(root))
        with path.open(encoding="utf-8") as lines:
            yield [
                {"file_key": name, "line_number": number, **json.loads(line)}
                for number, line in enumerate(lines)
            ]


def main() -> None:
    """Load the tree ``argv[1]`` into a DuckDB file in ``argv[2]``; print the time after imports."""
    import dlt  # type: ignore[import-not-found, unused-ignore]

    root, folder = Path(sys.argv[1]), Path(sys.argv[2])
    started = time.perf_counter()
    resource = dlt.resource(
        records(root),
        name="conversations",
        write_disposition="merge",
        primary_key=("file_key", "line_number"),
        max_table_nesting=0,
    )
    pipeline = dlt.pipeline(
        "transcripts",
        destination=dlt.destinations.duckdb(str(folder / "peer.duckdb")),
        dataset_name="raw",
        pipelines_dir=str(folder / "pipelines"),
    )
    options = {"loader_file_format": sys.argv[3]} if len(sys.argv) > 3 else {}  # noqa: PLR2004
    pipeline.run(resource, **options)
    rows = pipeline.last_trace.last_normalize_info.row_counts["conversations"]
    print(json.dumps({"work_seconds": time.perf_counter() - started, "rows": rows}))


if __name__ == "__main__":
    main()
