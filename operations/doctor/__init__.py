"""``annals doctor``: check the setup and suggest fixes."""

from operations.doctor.examine import EXIT_FAILED, examine
from operations.doctor.findings import Finding, Verdict

__all__ = ["EXIT_FAILED", "Finding", "Verdict", "examine"]
