"""``annals doctor``: what stands in the way, and what to do about it."""

from flows.doctor.examine import EXIT_FAILED, examine
from flows.doctor.findings import Finding, Verdict

__all__ = ["EXIT_FAILED", "Finding", "Verdict", "examine"]
