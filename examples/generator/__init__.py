"""The project's own transcript generator: deterministic, standard library only.

Whole trees come from :func:`write_bench` and :func:`write_sample`, small broken or odd files from
:data:`HAZARDS`, changes between two runs from :mod:`examples.generator.changes`. Each returns or
adds to a :class:`Truth`: what a reader must find there, taken from what was meant to be written.
"""

from examples.generator.profiles import SEED, write_bench
from examples.generator.truth import FileTruth, Response, Span, SpanKind, Totals, Truth, Usage

__all__ = [
    "SEED",
    "write_bench",
    "Truth",
    "FileTruth",
    "Span",
    "SpanKind",
    "Response",
    "Usage",
    "Totals",
]
