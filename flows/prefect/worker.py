"""A worker for pools of type ``process`` whose flow runs start warm (docs/adr/0018).

The stock worker starts a fresh Python for each run; this one differs in that alone. What it builds
on is private to Prefect, so it belongs to the version that requirements/platform.txt pins.
"""

from __future__ import annotations

import abc
import contextlib
import os
import signal
import sys
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import anyio
import anyio.abc
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.events.clients import get_events_subscriber
from prefect.events.filters import EventFilter, EventNameFilter
from prefect.exceptions import ObjectNotFound
from prefect.flows import load_flow_from_flow_run
from prefect.runner._flow_run_executor import FlowRunExecutionResult, FlowRunExecutorContext
from prefect.runner._process_manager import ProcessHandle
from prefect.runner._state_proposer import StateProposer
from prefect.settings import get_current_settings
from prefect.states import Failed
from prefect.utilities.engine import propose_state
from prefect.workers.process import ProcessJobConfiguration, ProcessWorker, ProcessWorkerResult

from flows.prefect import engine
from flows.prefect.children import Child, Children
from flows.prefect.outcome import words
from flows.prefect.run_variables import RunConfiguration

if TYPE_CHECKING:
    from collections.abc import Collection
    from multiprocessing.context import SpawnProcess
    from uuid import UUID

    from prefect.client.schemas.objects import FlowRun

POOL = "annals"
"""The work pool of prefect.yaml."""

_LOOK_SECONDS = 0.5
_LISTEN_AGAIN_SECONDS = 15.0
_TOLD = (
    "The worker ended this run: it was told to stop itself, or the run was over. What its stages"
    " had committed is kept; the next run goes on from there."
)


def wait_for_pool() -> None:
    """Return when the server has the pool: ``deploy`` makes it, and may be active this moment."""
    is_told = False
    with get_client(sync_client=True) as client:
        while True:
            try:
                client.read_work_pool(POOL)
            except ObjectNotFound:
                if not is_told:
                    _say(f"waiting for the work pool {POOL}: `make deploy` makes it")
                is_told = True
                time.sleep(_LOOK_SECONDS)
            else:
                return


class WarmWorker(ProcessWorker, abc.ABC):
    """The process worker, whose runs are forks of a process that has imported everything.

    Its type is ``process`` as well. Prefect enters every subclass under its type, and warns where
    there is one already, but for those that name ABC as a base: nobody looks for this one there.
    """

    job_configuration = RunConfiguration

    async def serve(self) -> None:
        """Work until SIGINT or SIGTERM, which end the runs first and then the worker."""
        self._children = Children()
        async with anyio.create_task_group() as group:
            group.start_soon(partial(self.start, printer=_say))
            group.start_soon(self._listen)
            group.start_soon(self._children.watch, self._over)
            with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
                async for _ in signals:
                    break  # a second one finds no handler, and kills
            _say("told to stop: the active runs end")
            await self._children.end()
            group.cancel_scope.cancel()

    async def _over(self, runs: Collection[UUID]) -> set[UUID]:
        """Return which of these runs have ended, as far as the server knows."""
        if not runs:
            return set()
        wanted = FlowRunFilter(id=FlowRunFilterId(any_=list(runs)))
        found = await self.client.read_flow_runs(flow_run_filter=wanted)
        return {one.id for one in found if one.state is not None and one.state.is_final()}

    async def _listen(self) -> None:
        """Ask for runs as soon as the server reports one.

        No more than a hint, so nothing that goes wrong with it counts: a run of which it does not
        tell is found when the worker looks by itself.
        """
        scheduled = EventFilter(event=EventNameFilter(name=["prefect.flow-run.Scheduled"]))
        while True:
            try:
                async with get_events_subscriber(scheduled) as events:
                    asked_at = datetime.now(UTC)
                    await self.get_and_submit_flow_runs()
                    async for event in events:
                        if event.occurred > asked_at:  # a schedule makes many of them at once
                            asked_at = datetime.now(UTC)
                            await self.get_and_submit_flow_runs()
            except Exception:  # whatever it was, the worker looks by itself
                self._logger.debug("The server reports no runs for now", exc_info=True)
            await anyio.sleep(_LISTEN_AGAIN_SECONDS)

    async def run(
        self,
        flow_run: FlowRun,
        configuration: ProcessJobConfiguration,
        task_status: anyio.abc.TaskStatus[int] | None = None,
    ) -> ProcessWorkerResult:
        """Execute the run in a forked child and return how that ended."""
        if await self._refuses(flow_run, configuration):
            if task_status is not None:
                task_status.started(os.getpid())
            return ProcessWorkerResult(status_code=0, identifier=str(os.getpid()))
        async with FlowRunExecutorContext() as context:
            starter = _Forking(configuration, context, self._children)
            executor = context.create_executor(
                flow_run,
                starter,
                resolve_flow=load_flow_from_flow_run,
                propose_submitting=False,
            )
            result: FlowRunExecutionResult | None = None

            async def execute(*, task_status: anyio.abc.TaskStatus[ProcessHandle]) -> None:
                nonlocal result
                result = await executor.submit(task_status=task_status)

            async with anyio.create_task_group() as group:
                handle = await group.start(execute)
                if task_status is not None:
                    task_status.started(handle.pid)
        if starter.child is not None:
            self._children.remove(starter.child)
        code = 1 if result is None or result.status_code is None else result.status_code
        return ProcessWorkerResult(status_code=code, identifier=str(handle.pid))

    async def _refuses(self, flow_run: FlowRun, configuration: ProcessJobConfiguration) -> bool:
        """End a run Failed, in our words, that asks for what no flow of ours may do.

        The server refuses it already, unless it was asked not to check, or has another template.
        """
        error = configuration.refusal if isinstance(configuration, RunConfiguration) else None
        if error is None:
            return False
        self.get_flow_run_logger(flow_run).error("%s", words(error))
        await propose_state(self.client, Failed(message=words(error)), flow_run_id=flow_run.id)
        return True


class _Forking:
    """How Prefect's executor gets the process of a run; ``child`` is that, once there is one."""

    def __init__(
        self,
        configuration: ProcessJobConfiguration,
        context: FlowRunExecutorContext,
        children: Children,
    ) -> None:
        self.child: Child | None = None
        self._configuration = configuration
        self._context = context
        self._children = children

    async def start(
        self,
        flow_run: FlowRun,
        task_status: anyio.abc.TaskStatus[ProcessHandle] = anyio.TASK_STATUS_IGNORED,
    ) -> None:
        """Fork, tell of the child, and return when it has ended."""
        folder = self._configuration.working_dir or Path.cwd()
        begin = partial(engine.begin, str(flow_run.id), self._environment(flow_run), str(folder))
        process = await anyio.to_thread.run_sync(begin)
        self.child = self._children.add(process, flow_run.id)
        task_status.started(ProcessHandle(cast("SpawnProcess", process)))
        try:
            await anyio.wait_readable(process.sentinel)
        except BaseException:
            process.kill()
            process.join()
            raise
        process.join()
        if self.child.is_told:
            # Before the executor does, which would call the exit code unexpected. A state that the
            # run, or somebody else, has given it at its end stays.
            await StateProposer(client=self._context.client).propose_crashed(flow_run, _TOLD)

    def _environment(self, flow_run: FlowRun) -> dict[str, str]:
        """Return what the stock worker would give to the run's process."""
        settings: dict[str, Any] = get_current_settings().to_environment_variables(
            exclude_unset=True
        )
        control = {}
        with contextlib.suppress(RuntimeError):  # no port for it: a run can still be killed
            port, token = self._context.control_channel.register(flow_run.id)
            control = {"PREFECT__CONTROL_PORT": str(port), "PREFECT__CONTROL_TOKEN": token}
        found = {
            **settings,
            **self._configuration.env,
            "PREFECT__FLOW_RUN_ID": str(flow_run.id),
            "PREFECT__ENABLE_CANCELLATION_AND_CRASHED_HOOKS": "false",
            **control,
        }
        return {name: value for name, value in found.items() if value is not None}


def _say(words: str) -> None:
    sys.stderr.write(f"{words}\n")
