"""Annals: every conversation that coding agents write to disk, kept, priced and explained."""
