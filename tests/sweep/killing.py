"""Real deaths: run a stage in a forked child and end it with SIGKILL at a chosen moment.

Children are forked by a server process that has done all imports and started no thread, so that
a death lands in the work. Two kinds of moments are used. A *call* moment counts the interpreter's
call events and dies at the n-th, which reaches every place between two function calls. A *time*
moment is a share of the undisturbed duration, which reaches places inside long native calls.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Literal

Work = Callable[..., Any]

_children = multiprocessing.get_context("forkserver")
_children.set_forkserver_preload(["tests.sweep.prepared"])


@dataclass(frozen=True, slots=True)
class Moment:
    """When a child dies: at the ``at``-th call event, or ``at`` seconds after its start."""

    kind: Literal["call", "time"]
    at: float


@dataclass(frozen=True, slots=True)
class Extent:
    """What a whole undisturbed run takes: call events and seconds."""

    calls: int
    seconds: float

    def moments(self, count: int) -> list[Moment]:
        """Return ``count`` moments spread evenly over the run, two of three by call events."""
        shares = [(index + 0.5) / count for index in range(count)]
        return [
            Moment("time", share * self.seconds)
            if index % 3 == 2
            else Moment("call", max(1, int(share * self.calls)))
            for index, share in enumerate(shares)
        ]


class CallCounter:
    """A profile function that counts call events, and kills the process at one of them."""

    def __init__(self, deadline: int | None = None) -> None:
        self.calls = 0
        self.deadline = deadline

    def __call__(self, _frame: Any, _event: str, _argument: Any) -> None:
        """Count one event; die where it is the last one allowed."""
        self.calls += 1
        if self.calls == self.deadline:
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(self, work: Work, *arguments: Any) -> Any:
        """Run ``work`` with this counter on every thread."""
        threading.setprofile(self)
        sys.setprofile(self)
        try:
            return work(*arguments)
        finally:
            sys.setprofile(None)


def run(work: Work, *arguments: Any) -> Any:
    """Run ``work`` in a child to its end and return its answer; raise where it fails."""
    receiver, sender = _children.Pipe(duplex=False)
    child = _children.Process(target=_answer, args=(sender, work, *arguments))
    child.start()
    sender.close()
    try:
        answer = receiver.recv()
    except EOFError:
        answer = None
    child.join()
    assert child.exitcode == 0, f"{work.__name__} failed in its child: exit {child.exitcode}"
    return answer


def calls(work: Work, *arguments: Any) -> int:
    """Count the call events of an undisturbed run of ``work`` in a child; its effects stay."""
    return int(run(_calls, work, *arguments))


def seconds(work: Work, *arguments: Any) -> float:
    """Time an undisturbed run of ``work`` in a child, which counting would slow down."""
    return float(run(_seconds, work, *arguments))


def kill(moment: Moment, work: Work, *arguments: Any) -> bool:
    """Run ``work`` in a child that dies at ``moment``; return whether it died before its end."""
    if moment.kind == "call":
        child = _children.Process(target=_die, args=(int(moment.at), work, *arguments))
        child.start()
    else:
        ready, started = _children.Pipe(duplex=False)
        child = _children.Process(target=_begin, args=(started, work, *arguments))
        child.start()
        ready.recv()
        time.sleep(moment.at)
        child.kill()
    child.join()
    assert child.exitcode in (0, -signal.SIGKILL), f"{work.__name__} failed by itself"
    return child.exitcode != 0


def _answer(sender: Connection, work: Work, *arguments: Any) -> None:
    sender.send(work(*arguments))


def _calls(work: Work, *arguments: Any) -> int:
    counter = CallCounter()
    counter.watch(work, *arguments)
    return counter.calls


def _seconds(work: Work, *arguments: Any) -> float:
    begin = time.monotonic()
    work(*arguments)
    return time.monotonic() - begin


def _die(deadline: int, work: Work, *arguments: Any) -> None:
    CallCounter(deadline).watch(work, *arguments)


def _begin(started: Connection, work: Work, *arguments: Any) -> None:
    started.send("begun")
    work(*arguments)
