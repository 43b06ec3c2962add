"""Annals: every conversation that coding agents write to disk, kept, priced and explained."""

__version__ = "0.1.0"
