"""The outer edge of the programs beside ``annals``: an error is message, hint and exit code."""

from __future__ import annotations

import sys
from collections.abc import Callable

from annals.errors import AnalyticsError
from annals.files import set_umask
from annals.process.environments import prepare_environment
from annals.process.streams import prepare_streams
from annals.text import one_line

_INTERRUPTED = 130


def exit_code_of(work: Callable[[], int | None]) -> int:
    """Do the work and return its exit code; write an error of ours to standard error."""
    set_umask()
    prepare_streams()
    prepare_environment()
    try:
        return work() or 0
    except AnalyticsError as error:
        for line in (f"error: {error.message}", f"hint: {error.hint}"):
            sys.stderr.write(one_line(line) + "\n")
        return error.exit_code
    except KeyboardInterrupt:
        return _INTERRUPTED
