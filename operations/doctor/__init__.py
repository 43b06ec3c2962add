"""``annals doctor``: what stands in the way, and what to do about it."""

from operations.doctor.examine import EXIT_FAILED, examine
from operations.doctor.findings import Finding, Verdict

__all__ = ["EXIT_FAILED", "Finding", "Verdict", "examine"]
