"""Steps of the shipping protocol that are interrupted: by a crash, or by a lost answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from annals.errors import DependencyError

REMOTE = (
    "agent",
    "introduce_agent",
    "replace_incarnation",
    "note_missing",
    "commit",
    "insert",
    "positions",
    "claim",
)
LOCAL = ("note_incarnation", "enroll_agent", "rename", "move_to_dead_letters", "acknowledge")


class Crash(BaseException):
    """The process died here."""


class Fault:
    """What happens when the step of this name is next; ``kept`` of an insert's documents arrive."""

    def __init__(self, step: str, kind: str, kept: int = 0, *, late: bool = False) -> None:
        self.kind = kind
        self.kept = kept
        self.is_late = late
        self.late: list[dict[str, Any]] = []
        self._step: str | None = step

    def strikes(self, step: str) -> bool:
        """Tell whether it is this step, which it is once."""
        if step != self._step:
            return False
        self._step = None
        return True


NO_FAULT = Fault("", "")


class Interrupted:
    """A server or a buffer that does what it does, but for the step at which a fault strikes."""

    def __init__(self, inner: Any, steps: tuple[str, ...], fault: Callable[[], Fault]) -> None:
        self._inner = inner
        self._steps = steps
        self._fault = fault

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)
        if name not in self._steps:
            return method

        def step(*arguments: Any, **named: Any) -> Any:
            fault = self._fault()
            if not fault.strikes(name):
                return method(*arguments, **named)
            if fault.kind == "crash before":
                raise Crash
            if name == "insert" and fault.kind == "lost":
                documents = list(arguments[0])
                if fault.is_late:
                    fault.late = documents[fault.kept : fault.kept + 1]
                method(documents[: fault.kept])
            else:
                method(*arguments, **named)
            if fault.kind == "crash after" or self._steps is LOCAL:
                raise Crash
            raise DependencyError("the answer was lost", hint="Send it again.")

        return step
