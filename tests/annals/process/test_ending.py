"""A request to end reaches a process at whatever moment its signal arrives."""

from __future__ import annotations

import subprocess
import sys

from tests.conftest import ROOT

_AT_EVERY_LINE = """
import signal, sys
from annals.process.ending import EndRequest

request = None
signal.signal(signal.SIGTERM, lambda number, frame: request.ask())

def trace_wait(place):
    seen = 0
    def trace(frame, event, _argument):
        nonlocal seen
        if frame.f_code.co_filename == __file__ or frame.f_code.co_name == "ask":
            return trace
        frame.f_trace_opcodes = True
        seen += 1
        if seen == place:
            signal.raise_signal(signal.SIGTERM)
        return trace
    return trace

__file__ = "<string>"
for place in range(1, 60):
    request = EndRequest()
    sys.settrace(trace_wait(place))
    answer = request.wait(0.01)
    sys.settrace(None)
    assert answer == request.is_asked(), place
print("answered", request.is_asked())
"""


def test_a_signal_at_any_moment_of_the_wait_ends_it() -> None:
    """The signal comes at each instruction of the wait in turn, and never blocks the process."""
    done = subprocess.run(
        [sys.executable, "-c", _AT_EVERY_LINE],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("answered")
