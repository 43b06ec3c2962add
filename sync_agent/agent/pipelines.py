"""Who runs the pipeline when the agent asks: a Prefect server, or a process of this program."""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
import time
from typing import Any

from annals.errors import AnalyticsError, DependencyError, LockedError
from annals.prefect_api import PrefectApi, PrefectRefusedError, find_login
from annals.process.environments import child_environment, module_command, work_folder
from annals.settings import Settings
from annals.settings.destinations import require_allowed
from annals.settings.passing import as_environment

DEPLOYMENT = "pipeline/pipeline-adhoc"

_ANSWER_SECONDS = 10.0
_LOOK_SECONDS = 1.0
_TAKEN_SECONDS = 60.0
_WAITING, _DONE, _CANCELLED = "SCHEDULED", "COMPLETED", "CANCELLED"
_FINAL = {_DONE, _CANCELLED, "FAILED", "CRASHED"}
_AT_WORK = {
    "flows": {"name": {"any_": ["pipeline"]}},
    "flow_runs": {"state": {"type": {"any_": ["PENDING", "RUNNING"]}}},
}
_PARTIAL = 6
_REFUSALS = {
    401: "it refuses the login (ANNALS_HOME/prefect/login, or PREFECT_LOGIN)",
    403: "it refuses this program's address or token",
    404: "it knows no such deployment; `make deploy` makes it",
}


class PrefectPipelines:
    """Asks a Prefect server, over its REST API: a run of the deployment, and how that went.

    Where another one is under way none is asked for; the server cancels one that comes all the
    same (CANCEL_NEW). A run that no worker takes is a failure, and is the one to wait for later.
    """

    def __init__(self, settings: Settings) -> None:
        require_allowed(settings, "prefect_api_url")
        self._settings = settings
        self._api: PrefectApi | None = None
        self._waiting: str | None = None

    def run(self, stop: threading.Event) -> bool:
        """Have one run; see :class:`sync_agent.agent.trigger.Pipelines`."""
        run_id, self._waiting = self._waiting, None
        if run_id is not None and self._state(run_id)["state_type"] != _WAITING:
            return False  # it began while nobody looked, perhaps too early for what came since
        if run_id is None:
            if self._call("POST", "/flow_runs/count", _AT_WORK):
                return False
            run_id = self._asked()
        taken_by = time.monotonic() + _TAKEN_SECONDS
        while not stop.wait(_LOOK_SECONDS):
            run = self._state(run_id)
            state = run["state_type"]
            if state in _FINAL:
                return self._outcome(run, state)
            if state == _WAITING and time.monotonic() > taken_by:
                self._waiting = run_id
                raise _unreachable("no worker takes the run")
        return True

    def _asked(self) -> str:
        deployment = self._call("GET", f"/deployments/name/{DEPLOYMENT}")["id"]
        asked = {"state": {"type": _WAITING}, "tags": ["trigger:agent"]}
        run = self._call("POST", f"/deployments/{deployment}/create_flow_run", asked)
        return str(run["id"])

    def _state(self, run_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self._call("GET", f"/flow_runs/{run_id}")
        return found

    def _outcome(self, run: dict[str, Any], state: str) -> bool:
        if state in (_DONE, _CANCELLED):
            return state == _DONE
        raise AnalyticsError(
            f"the flow run {run['name']} ended {state}",
            hint="Its page in the Prefect UI says why; it is asked for again.",
        )

    def _call(self, method: str, path: str, body: object = None) -> Any:
        """Call the API; raise DependencyError where it does not answer as it should."""
        if self._api is None:  # the login may be made after the agent was started
            login = find_login(self._settings)
            self._api = PrefectApi(self._settings.prefect_api, login, seconds=_ANSWER_SECONDS)
        try:
            return self._api.call(method, path, body)
        except PrefectRefusedError as error:
            self._api = None
            raise _unreachable(_REFUSALS.get(error.status, f"status {error.status}")) from error
        except OSError as error:
            raise _unreachable(type(error).__name__) from error


class LocalPipelines:
    """Runs ``pipeline`` as a process of this program, which ends with the agent."""

    def __init__(self, settings: Settings) -> None:
        self._environment = as_environment(settings)
        self._home = settings.annals_home

    def run(self, stop: threading.Event) -> bool:
        """Have one run; see :class:`sync_agent.agent.trigger.Pipelines`."""
        environment = child_environment(self._environment)
        environment.pop("PREFECT_API_URL", None)  # this run needs no server
        process = subprocess.Popen(  # noqa: S603 -- this very program
            module_command("analytics.cli", "pipeline", "--json"),
            env=environment,
            cwd=work_folder(self._home),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C in the agent's terminal is the agent's business
        )
        ender = threading.Thread(target=_end_with, args=(stop, process), daemon=True)
        ender.start()
        _, said = process.communicate()
        if process.returncode == LockedError.exit_code:
            return False
        if process.returncode not in (0, _PARTIAL) and not stop.is_set():
            raise _failed(process.returncode, said)
        return True


def _end_with(stop: threading.Event, process: subprocess.Popen[bytes]) -> None:
    """End the process when the agent ends: what it has not committed is done by the next one."""
    while process.poll() is None:
        if stop.wait(_LOOK_SECONDS):
            process.terminate()
            return


def _failed(code: int, said: bytes) -> AnalyticsError:
    """Return the error for a pipeline that failed: its kind, for its message may name folders."""
    kind = ""
    for line in said.decode(errors="replace").splitlines():
        with contextlib.suppress(ValueError, KeyError, TypeError):
            kind = f" ({json.loads(line)['error']})"
    return AnalyticsError(
        f"the pipeline ended with exit code {code}{kind}",
        hint="`annals pipeline` shows it again; it is asked for again.",
    )


def _unreachable(why: str) -> DependencyError:
    return DependencyError(
        f"the Prefect server cannot be asked for a pipeline run: {why}",
        hint="Check PREFECT_API_URL, and that server and worker run (`annals up`).",
    )
