"""Hazards by name: each writes a project folder of its own, small, with its exact ledger.

The numbers H1 to H25 in the docstrings are those of the list in examples/README.md.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from examples.generator.dice import SEED
from examples.generator.hazards.damage import DAMAGE
from examples.generator.hazards.lineage import LINEAGE
from examples.generator.hazards.places import PLACES
from examples.generator.hazards.stage import Stage
from examples.generator.hazards.usage import USAGE
from examples.generator.hazards.values import VALUES
from examples.generator.truth import Truth

_WRITERS = (*DAMAGE, *VALUES, *USAGE, *LINEAGE, *PLACES)

HAZARDS: dict[str, Callable[[Stage], None]] = {write.__name__: write for write in _WRITERS}
"""Every hazard's writer by its name; the first line of its docstring says what it is."""


def write_hazard(name: str, root: Path, *, seed: int = SEED) -> Truth:
    """Write the hazard ``name`` into ``root``/hazard-``name`` and return its truth.

    Raises KeyError where HAZARDS has no such name.
    """
    stage = Stage(name, root, seed=seed)
    HAZARDS[name](stage)
    return stage.truth


def write_hazards(root: Path, *, seed: int = SEED) -> Truth:
    """Write all hazards into one tree, a project folder each, and return the whole truth."""
    truth = Truth()
    for name in HAZARDS:
        truth.merge(write_hazard(name, root, seed=seed))
    return truth
