"""Processes of ours: their environment, their streams, and how a program ends."""
