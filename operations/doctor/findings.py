"""What a check finds: a verdict, what it saw, and the remedy."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How a check came out: ``fail`` is what keeps a part from working."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check. ``remedy`` is set unless the verdict is ``ok``."""

    check: str
    verdict: Verdict
    says: str
    remedy: str | None = None


def fine(check: str, says: str) -> Finding:
    """Return a finding that needs nothing."""
    return Finding(check, Verdict.OK, says)


def doubtful(check: str, says: str, *, remedy: str) -> Finding:
    """Return a finding that works now and may not for long."""
    return Finding(check, Verdict.WARN, says, remedy)


def broken(check: str, says: str, *, remedy: str) -> Finding:
    """Return a finding that keeps something from working."""
    return Finding(check, Verdict.FAIL, says, remedy)
