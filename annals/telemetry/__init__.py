"""What a run tells about itself: progress for people, logs and counters for machines."""

from annals.telemetry.progress import NO_PROGRESS, Progress

__all__ = ["NO_PROGRESS", "Progress"]
