"""A figure: what was measured, beside the target it is held against."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value.

    ``target`` is None for a figure that is only shown beside others. ``at_least`` turns the
    comparison round. ``detail`` holds the counters of work and whatever explains the value.
    """

    benchmark: str
    name: str
    value: float
    unit: str
    target: float | None = None
    at_least: bool = False
    detail: dict[str, Any] = field(default_factory=dict)

    @property
    def reached(self) -> bool | None:
        """Whether the target is reached; None where there is none."""
        if self.target is None:
            return None
        return self.value >= self.target if self.at_least else self.value <= self.target

    def as_dict(self) -> dict[str, Any]:
        """Return the figure with its verdict, as plain values."""
        return asdict(self) | {"reached": self.reached}


def table(figures: list[Figure]) -> str:
    """Return the figures as an aligned table, a line each."""
    rows = [("benchmark", "figure", "measured", "target", "")]
    for figure in figures:
        sign = ">=" if figure.at_least else "<="
        target = "" if figure.target is None else f"{sign} {_shown(figure.target)} {figure.unit}"
        verdict = {True: "reached", False: "NOT REACHED", None: ""}[figure.reached]
        measured = f"{_shown(figure.value)} {figure.unit}"
        rows.append((figure.benchmark, figure.name, measured, target, verdict))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _shown(value: float) -> str:
    if value == int(value):
        return f"{int(value):,}"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:,.1f}"  # noqa: PLR2004
