"""What a check of ``validate`` returns."""

from __future__ import annotations

from dataclasses import dataclass, field

from annals.errors import IntegrityError

FAULTS_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Check:
    """One check: the promise, the figures that were compared, and each way it is broken.

    ``skipped`` says why there was nothing to check; ``exit_code`` counts where there are faults.
    ``notes`` are things to know that break nothing.
    """

    name: str
    promise: str
    figures: dict[str, int] = field(default_factory=dict)
    faults: tuple[str, ...] = ()
    skipped: str = ""
    exit_code: int = IntegrityError.exit_code
    notes: tuple[str, ...] = ()
