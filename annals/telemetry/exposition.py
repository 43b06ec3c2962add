"""Metrics that Prometheus reads: a table of them, and its own client library to write them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Literal, TypeVar

from annals.text import one_line

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import Metric as Family

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Seen = TypeVar("Seen")
Samples = Iterable[tuple[Mapping[str, str], float]]
"""Values, each with its labels."""


@dataclass(frozen=True, slots=True)
class Metric(Generic[Seen]):
    """One metric; ``read`` takes its samples from what was seen, none where there are none."""

    name: str
    kind: Literal["counter", "gauge"]
    meaning: str
    read: Callable[[Seen], Samples]


class _Collector(Generic[Seen]):
    def __init__(self, metrics: Iterable[Metric[Seen]], look: Callable[[], Seen]) -> None:
        self._metrics = metrics
        self._look = look

    def collect(self) -> Iterator[Family]:
        """Look once, and yield each metric with its samples."""
        from prometheus_client.core import Metric as Family

        seen = self._look()
        for metric in self._metrics:
            family = Family(metric.name.removesuffix("_total"), metric.meaning, metric.kind)
            for labels, value in metric.read(seen):
                family.add_sample(metric.name, _safe(labels), value)
            yield family


def _safe(labels: Mapping[str, str]) -> dict[str, str]:
    """Return labels whose values are one line each; the library escapes quotes and backslashes."""
    return {name: one_line(value) for name, value in labels.items()}


def registry(metrics: Iterable[Metric[Seen]], look: Callable[[], Seen]) -> CollectorRegistry:
    """Return the metrics as a registry of the library, which looks each time it is asked."""
    from prometheus_client import CollectorRegistry

    found = CollectorRegistry(auto_describe=False)
    found.register(_Collector(metrics, look))
    return found


def exposition(metrics: Iterable[Metric[Seen]], look: Callable[[], Seen]) -> str:
    """Return the metrics as text of :data:`CONTENT_TYPE`."""
    from prometheus_client import generate_latest

    return generate_latest(registry(metrics, look)).decode()
