"""Full builds with default settings: many small and few large sessions, 1 and 3 million entries."""

from __future__ import annotations

from benchmarks.figures import Figure
from benchmarks.workspaces import Workspace

_MILLION = 1_000_000
_SHAPES = (("many small", 50), ("few large", 50_000))
_CPU_SECONDS = 30.0
_RATIO = 3.3
_PEAK_MIB = 1_024


def volumes() -> list[Figure]:
    """Measure `transform --full-refresh` and `publish`: processor time, peak memory, growth."""
    figures = []
    for name, per_session in _SHAPES:
        small = _build(name, _MILLION, per_session)
        large = _build(name, 3 * _MILLION, per_session)
        ratio = round(large[0].value / small[0].value, 2)
        figures += [*small, *large]
        figures.append(Figure("volumes", f"{name}, 3 M / 1 M", ratio, "x", _RATIO))
    return figures


def _build(name: str, entries: int, per_session: int) -> list[Figure]:
    space = Workspace.named(f"plain-{entries}-{per_session}")
    space.write("plain", sessions=entries // per_session, entries=entries)
    if not space.state.exists():
        space.stages("sync", "extract", "load")
    runs = [space.command("transform", "--full-refresh"), space.command("publish")]
    cpu = round(sum(run.cpu_seconds for run in runs), 1)
    peak = round(max(run.peak_bytes for run in runs) / 2**20)
    target = _CPU_SECONDS if entries == _MILLION else None
    label = f"{name}, {entries:,} entries"
    detail = {f"run_{number}": run.facts() for number, run in enumerate(runs)}
    return [
        Figure("volumes", label, cpu, "CPU s", target, detail=detail),
        Figure("volumes", f"{label}, peak memory", peak, "MiB", _PEAK_MIB),
    ]
