"""A worker for pools of type ``process`` whose flow runs start warm (docs/adr/0018).

The stock worker starts a fresh Python for each run; this one differs in that alone. What it builds
on is private to Prefect, so it belongs to the version that requirements/platform.txt pins.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from datetime import UTC, datetime
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import anyio
import anyio.abc
from prefect.events.clients import get_events_subscriber
from prefect.events.filters import EventFilter, EventNameFilter
from prefect.flows import load_flow_from_flow_run
from prefect.runner._flow_run_executor import FlowRunExecutionResult, FlowRunExecutorContext
from prefect.runner._process_manager import ProcessHandle
from prefect.settings import get_current_settings
from prefect.states import Failed
from prefect.utilities.engine import propose_state
from prefect.workers.process import ProcessJobConfiguration, ProcessWorker, ProcessWorkerResult

from analytics.errors import UsageError
from flows.orchestrated import engine
from flows.orchestrated.outcome import words
from flows.orchestrated.parameters import check

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

    from prefect.client.schemas.objects import FlowRun
    from prefect.runner._control_channel import ControlChannel

POOL = "annals"
"""The work pool of prefect.yaml."""

_LISTEN_AGAIN_SECONDS = 15.0
_GRACE_SECONDS = 20.0
"""How long a run may take to roll back when the worker is told to stop."""


class WarmWorker(ProcessWorker):
    """The process worker, whose runs are forks of a process that has imported everything."""

    type = "process"

    async def serve(self) -> None:
        """Work until SIGINT or SIGTERM, which end the runs first and then the worker."""
        self._ending: dict[BaseProcess, anyio.Event] = {}
        async with anyio.create_task_group() as group:
            group.start_soon(partial(self.start, printer=_say))
            group.start_soon(self._listen)
            with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
                async for _ in signals:
                    break  # a second one finds no handler, and kills
            _say("told to stop: the runs at work roll back")
            at_work = list(self._ending.items())
            for child, _ in at_work:
                child.terminate()
            with anyio.move_on_after(_GRACE_SECONDS):  # after it the starters kill them
                for _, ended in at_work:
                    await ended.wait()
            group.cancel_scope.cancel()

    async def _listen(self) -> None:
        """Ask for runs as soon as the server tells of one.

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
                self._logger.debug("The server tells of no runs for now", exc_info=True)
            await anyio.sleep(_LISTEN_AGAIN_SECONDS)

    async def run(
        self,
        flow_run: FlowRun,
        configuration: ProcessJobConfiguration,
        task_status: anyio.abc.TaskStatus[int] | None = None,
    ) -> ProcessWorkerResult:
        """Execute the run in a forked child and return how that ended."""
        if await self._refuses(flow_run):
            if task_status is not None:
                task_status.started(os.getpid())
            return ProcessWorkerResult(status_code=0, identifier=str(os.getpid()))
        if configuration._command_configured:  # noqa: SLF001 - a pool with a command of its own
            return await super().run(flow_run, configuration, task_status)
        async with FlowRunExecutorContext() as context:
            executor = context.create_executor(
                flow_run,
                _Forking(configuration, context.control_channel, self._ending),
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
        if handle.raw_process in self._ending:
            self._ending.pop(handle.raw_process).set()
        code = 1 if result is None or result.status_code is None else result.status_code
        return ProcessWorkerResult(status_code=code, identifier=str(handle.pid))

    async def _refuses(self, flow_run: FlowRun) -> bool:
        """End a run Failed, in our words, that asks for what its flow cannot do.

        Prefect would let it crash; that is where a run was made without the server's own check.
        """
        if flow_run.deployment_id is None or not flow_run.parameters:
            return False
        try:
            check(await self.client.read_deployment(flow_run.deployment_id), flow_run.parameters)
        except UsageError as error:
            self.get_flow_run_logger(flow_run).error("%s", words(error))
            await propose_state(self.client, Failed(message=words(error)), flow_run_id=flow_run.id)
            return True
        return False


class _Forking:
    """How Prefect's executor gets the process of a run."""

    def __init__(
        self,
        configuration: ProcessJobConfiguration,
        channel: ControlChannel,
        ending: dict[BaseProcess, anyio.Event],
    ) -> None:
        self._configuration = configuration
        self._channel = channel
        self._ending = ending

    async def start(
        self,
        flow_run: FlowRun,
        task_status: anyio.abc.TaskStatus[ProcessHandle] = anyio.TASK_STATUS_IGNORED,
    ) -> None:
        """Fork, tell of the child, and return when it has ended."""
        folder = self._configuration.working_dir or Path.cwd()
        begin = partial(engine.begin, str(flow_run.id), self._environment(flow_run), str(folder))
        child = await anyio.to_thread.run_sync(begin)
        self._ending[child] = anyio.Event()
        task_status.started(ProcessHandle(cast("SpawnProcess", child)))
        try:
            await anyio.wait_readable(child.sentinel)
        except BaseException:
            child.kill()
            child.join()
            raise
        child.join()

    def _environment(self, flow_run: FlowRun) -> dict[str, str]:
        """Return what the stock worker would give to the run's process."""
        settings: dict[str, Any] = get_current_settings().to_environment_variables(
            exclude_unset=True
        )
        control = {}
        with contextlib.suppress(RuntimeError):  # no port for it: a run can still be killed
            port, token = self._channel.register(flow_run.id)
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
