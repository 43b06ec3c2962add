"""Roots under watch: hints from the system, and folders that are polled instead."""
