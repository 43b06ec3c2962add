"""Settings: one class, read from flags, environment, one file and defaults, in that order."""

from annals.settings.loading import load_settings
from annals.settings.model import Settings

__all__ = ["Settings", "load_settings"]
