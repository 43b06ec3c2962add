"""Settings: one class, read from flags, environment, ``.env`` and defaults, in that order."""

from analytics.settings.model import Settings, load_settings

__all__ = ["Settings", "load_settings"]
