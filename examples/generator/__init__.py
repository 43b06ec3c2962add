"""The project's own transcript generator: deterministic, standard library only.

Whole trees come from :func:`write_bench`, :func:`write_plain` and :func:`write_sample`, small
broken or odd files from :data:`HAZARDS`, changes between two runs from
:mod:`examples.generator.changes`. Each returns or
updates a :class:`Truth`: what is to be found there, taken from what was meant to be written and
never from reading it back.
"""

from examples.generator import changes
from examples.generator.changes import Tree
from examples.generator.dice import SEED
from examples.generator.hazards import HAZARDS, write_hazard, write_hazards
from examples.generator.hazards.stage import Stage
from examples.generator.hazards.values import write_huge_line
from examples.generator.plain import PlainTotals, write_plain
from examples.generator.profiles import write_bench, write_expected
from examples.generator.sample import write_sample
from examples.generator.truth import FileTruth, Response, Span, SpanKind, Totals, Truth, Usage

__all__ = [
    "SEED",
    "write_sample",
    "write_bench",
    "write_plain",
    "PlainTotals",
    "write_expected",
    "HAZARDS",
    "write_hazard",
    "write_hazards",
    "Stage",
    "write_huge_line",
    "Tree",
    "changes",
    "Truth",
    "FileTruth",
    "Span",
    "SpanKind",
    "Response",
    "Usage",
    "Totals",
]
