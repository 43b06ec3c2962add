"""The agent as a process: its threads, its requests, its health, its service."""
