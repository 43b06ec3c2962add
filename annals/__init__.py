"""The ground: errors, settings, records, and the stores and formats that several packages share."""

__version__ = "0.1.0"
