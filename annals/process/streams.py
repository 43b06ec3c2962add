"""Standard output and standard error of our programs: they take any text."""

from __future__ import annotations

import io
import os
import sys
from typing import TextIO


def prepare_streams() -> None:
    """Let both streams write what their encoding lacks as escapes, and exist if they were closed.

    Names of files may hold bytes that are not text, and terminals and pipes have any encoding.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by the process that started this one
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def leave_output(code: int = 0, *, stream: TextIO | None = None) -> int:
    """Let nothing more be written to an output that takes nothing; return ``code``."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), (stream or sys.stdout).fileno())
    return code
