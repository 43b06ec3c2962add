"""Transcript files as records: what changed, what a line holds, where each byte went."""
