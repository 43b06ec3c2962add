"""How an error of ours ends a run: what is tried again, and what the run's last state says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from prefect.client.schemas.objects import State, TaskRun
from prefect.logging import get_run_logger
from prefect.states import Cancelled, Completed, Failed
from prefect.tasks import Task

from annals.errors import AnalyticsError, LockedError, PartialError, Transient
from annals.text import one_line
from flows.partial import unfinished
from flows.prefect.cleaning import shown_text
from flows.prefect.work import is_given

PARTIAL = "Partial"
"""Name of the state of a run that left something undone: exit code 6 of the command."""

Answer = TypeVar("Answer")


def may_succeed_later(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    """Tell whether a failed task is worth another try: the error tree says so."""
    del task, run
    return isinstance(state.result(raise_on_failure=False), Transient)


def words(error: AnalyticsError) -> str:
    """Return the error as a run's state shows it: its class, what happened, and what to do."""
    return one_line(f"{type(error).__name__}: {error.message}. {error.hint}")


def in_our_words(run: Callable[[], Answer]) -> Answer:
    """Return what a flow's body returns, or the state that says how the run ended.

    That is Failed with message and hint after an error of ours. A run that came to its end and left
    something undone is Partial, with what is left: of Prefect's type COMPLETED, since what it did
    is published and the same run at once would do no more. (No decorator: Prefect reads a flow's
    parameters from the function itself.)
    """
    try:
        answer: Any = run()
    except AnalyticsError as error:
        return _ended(error)  # type: ignore[no-any-return]
    except Exception as error:  # noqa: BLE001 -- the edge of a run: its state quotes what is raised
        message = one_line(shown_text(f"unexpected {type(error).__name__}: {error}"))
        get_run_logger().exception("%s", message)
        return Failed(message=message, data=error)  # type: ignore[return-value]
    causes = unfinished(answer)
    if causes:
        return _partial("; ".join(causes), data=answer)  # type: ignore[no-any-return]
    return answer  # type: ignore[no-any-return]


def _ended(error: AnalyticsError) -> Any:
    """Return the state of a run that an error of ours ended.

    Of a worker's runs the one that still finds another run active after all retries ends
    Cancelled, as it would have under CANCEL_NEW where both were of one deployment; a command's own
    run raises every error.
    """
    if isinstance(error, PartialError) and not is_given():
        return _partial(words(error), data=None)
    get_run_logger().error("%s", words(error))
    if isinstance(error, LockedError) and not is_given():
        return Cancelled(message=words(error))
    return Failed(message=words(error), data=error)


def _partial(message: str, *, data: object) -> Any:
    """Return the state of a run that left something undone, and log what."""
    told = one_line(shown_text(message))
    get_run_logger().warning("%s", told)
    return Completed(name=PARTIAL, message=told, data=data)
