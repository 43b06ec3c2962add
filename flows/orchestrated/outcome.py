"""How an error of ours ends a run: what is tried again, and what the run's last state says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from prefect.client.schemas.objects import State, TaskRun
from prefect.logging import get_run_logger
from prefect.states import Cancelled, Failed
from prefect.tasks import Task

from analytics.errors import AnalyticsError, LockedError, Transient
from analytics.text import one_line
from flows.orchestrated.cleaning import shown_text
from flows.orchestrated.work import is_given

Answer = TypeVar("Answer")


def may_succeed_later(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    """Tell whether a failed task is worth another try: the error tree says so."""
    del task, run
    return isinstance(state.result(raise_on_failure=False), Transient)


def words(error: AnalyticsError) -> str:
    """Return the error as a run's state shows it: its class, what happened, and what to do."""
    return one_line(f"{type(error).__name__}: {error.message}. {error.hint}")


def in_our_words(run: Callable[[], Answer]) -> Answer:
    """Return what a flow's body returns, or the state that says how an error of ours ended it.

    That is Failed with message and hint. Of a worker's runs the one that still finds another run
    at work after all retries ends Cancelled, as it would have under CANCEL_NEW where both were of
    one deployment. (No decorator: Prefect reads a flow's parameters from the function itself.)
    """
    try:
        return run()
    except AnalyticsError as error:
        get_run_logger().error("%s", words(error))
        if isinstance(error, LockedError) and not is_given():
            return Cancelled(message=words(error))  # type: ignore[return-value]
        return Failed(message=words(error), data=error)  # type: ignore[return-value]
    except Exception as error:  # noqa: BLE001 -- the edge of a run: its state quotes what is raised
        message = one_line(shown_text(f"unexpected {type(error).__name__}: {error}"))
        get_run_logger().exception("%s", message)
        return Failed(message=message, data=error)  # type: ignore[return-value]
