"""Cold: generated transcripts from files to published gold, the peer on the same files, sizes."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from pathlib import Path

from benchmarks.figures import Figure
from benchmarks.processes import ROOT, Finished, python, run
from benchmarks.workspaces import STAGES, Workspace, size_of

LINES = 100_000
_MB = 1_000_000
_TENTH = 10


def cold() -> list[Figure]:
    """Measure the whole pipeline on 100,000 lines, and on half of them for the slope."""
    figures = []
    for lines in (LINES // 2, LINES):
        space = Workspace.named(f"cold-{lines}")
        space.write("tree", lines=lines)
        space.forget()
        whole = space.command("pipeline", "--json")
        megabytes = space.source_bytes() / _MB
        detail = whole.facts() | {"megabytes": round(megabytes, 1), "lines": lines}
        figures.append(_speed(f"{lines:,} lines", megabytes, whole, detail, lines == LINES))
    peak = whole.peak_bytes / 2**20
    figures.append(Figure("cold", "peak memory", round(peak, 1), "MiB", 1024))
    figures.append(_by_stage())
    return figures


def _speed(
    name: str, megabytes: float, whole: Finished, detail: dict[str, float], is_target: bool
) -> Figure:
    value = round(megabytes / whole.seconds, 2)
    target = 20.0 if is_target else None
    return Figure("cold", name, value, "MB/s", target, at_least=True, detail=dict(detail))


def _by_stage() -> Figure:
    """Return where the time goes: every stage in one process, after its imports."""
    space = Workspace.named(f"cold-{LINES}")
    space.forget()
    finished = space.stages(*STAGES)
    result = finished.last_json()
    detail = finished.facts() | {stage["stage"]: stage["seconds"] for stage in result["stages"]}
    detail |= {"import_seconds": result["import_seconds"], "reports": result["stages"]}
    seconds = sum(stage["seconds"] for stage in result["stages"])
    return Figure("cold", "work after imports", round(seconds, 2), "s", detail=detail)


def sizes() -> list[Figure]:
    """Measure what lake and DuckDB side take on disk, against the source; runs after ``cold``."""
    space = published()
    source = space.source_bytes()
    annals = space.state / "annals"
    lake = size_of(annals / "iceberg")
    duckdb_side = size_of(annals / "analytics.db") + size_of(annals / "published")
    detail = {"source": source, "lake": lake, "duckdb_side": duckdb_side}
    detail |= {"warehouse": size_of(annals / "analytics.db")}
    detail |= {"buffer": sum(path.stat().st_size for path in space.state.glob("buffer.db*"))}
    return [
        Figure("sizes", "lake", round(lake / source, 3), "x source", 0.20, detail=detail),
        Figure("sizes", "DuckDB side", round(duckdb_side / source, 3), "x source", 0.35),
    ]


def published() -> Workspace:
    """Return the workspace of the cold run, with a published build."""
    space = Workspace.named(f"cold-{LINES}")
    space.write("tree", lines=LINES)
    if not (space.state / "annals" / "published" / "current").exists():
        space.command("pipeline", "--json")
    return space


def peer() -> list[Figure]:
    """Measure dlt on every tenth file of the cold tree, and Annals on all files.

    MB/s of whole processes are compared; dlt's merge does not get quicker with more data. It is
    run as it comes, and with Parquet as load format and two normalize workers.
    """
    whole = Workspace.named(f"cold-{LINES}")
    whole.write("tree", lines=LINES)
    space = Workspace.named("tenth")
    _copy_tenth(whole.transcripts, space.transcripts)
    megabytes = space.source_bytes() / _MB
    space.forget()
    ours = space.command("pipeline", "--json")
    full = _annals_on_all()
    plain, tuned = _run_dlt(space), _run_dlt(space, "parquet")
    figures = [Figure("peer", "Annals, all files", round(full, 2), "MB/s")]
    for name, theirs, target in (("dlt", plain, 8.0), ("dlt tuned", tuned, None)):
        rate = megabytes / theirs.seconds
        detail = theirs.facts() | theirs.last_json() | {"megabytes": round(megabytes, 2)}
        detail |= {"same_files_ratio": round(theirs.seconds / ours.seconds, 2)}
        figures += [
            Figure("peer", f"{name}, a tenth of them", round(rate, 3), "MB/s", detail=detail),
            Figure("peer", f"Annals / {name}", round(full / rate, 1), "x", target, at_least=True),
        ]
    return figures


def _annals_on_all() -> float:
    space = Workspace.named(f"cold-{LINES}")
    space.forget()
    return space.source_bytes() / _MB / space.command("pipeline", "--json").seconds


def _copy_tenth(source: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    for path in sorted(source.rglob("*.jsonl"))[::_TENTH]:
        copy = target / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        os.link(path, copy)


def _run_dlt(space: Workspace, *load_format: str) -> Finished:
    folder = space.folder / "peer"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    environment = space.environment | {"RUNTIME__DLTHUB_TELEMETRY": "false"}
    if load_format:
        environment["NORMALIZE__WORKERS"] = "2"
    script = ROOT / "benchmarks" / "peer_dlt.py"
    return python(
        script,
        space.transcripts,
        folder,
        *load_format,
        environment=environment,
        folder=folder,
        interpreter=_interpreter_with_dlt(space),
    )


def _interpreter_with_dlt(space: Workspace) -> str:
    """Return a Python that has dlt: this one, or one in a virtual environment made for it."""
    if importlib.util.find_spec("dlt"):
        return sys.executable
    folder = space.folder.parent / "dlt-environment"
    interpreter = folder / "bin" / "python"
    if not (folder / "ready").exists():
        shutil.rmtree(folder, ignore_errors=True)
        install: list[str | Path] = [
            interpreter,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--require-hashes",
        ]
        locked = ROOT / "requirements"
        requirements: list[str | Path] = ["-r", locked / "bench.txt", "-r", locked / "runtime.txt"]
        environment = dict(os.environ)
        run([sys.executable, "-m", "venv", folder], environment=environment, folder=space.folder)
        run([*install, *requirements], environment=environment, folder=space.folder)
        (folder / "ready").touch()
    return str(interpreter)
