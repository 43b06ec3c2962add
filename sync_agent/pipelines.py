"""Who runs the pipeline when the agent asks: a Prefect server, or a process of this program."""

from __future__ import annotations

import contextlib
import http.client
import json
import subprocess
import threading
import time
from typing import Any
from urllib.parse import urlsplit

from analytics.environments import child_environment, module_command, work_folder
from analytics.errors import AnalyticsError, DependencyError, LockedError
from analytics.settings import Settings
from analytics.settings.passing import as_environment

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
_OK = 300
_ABSENT = 404


class PrefectPipelines:
    """Asks a Prefect server, over its REST API: a run of the deployment, and how that went.

    Where another one is under way none is asked for; the server cancels one that comes all the
    same (CANCEL_NEW). A run that no worker takes is a failure, and is the one to wait for later.
    """

    def __init__(self, settings: Settings) -> None:
        self._api = urlsplit(settings.prefect_api)
        self._waiting: str | None = None

    def run(self, stop: threading.Event) -> bool:
        """Have one run; see :class:`sync_agent.trigger.Pipelines`."""
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
        kind: type[http.client.HTTPConnection] = http.client.HTTPConnection
        if self._api.scheme == "https":
            kind = http.client.HTTPSConnection
        connection = kind(self._api.hostname or "", self._api.port, timeout=_ANSWER_SECONDS)
        try:
            text = None if body is None else json.dumps(body)
            headers = {"Content-Type": "application/json"}
            connection.request(method, self._api.path + path, text, headers)
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise _unreachable(type(error).__name__) from error
        finally:
            connection.close()
        if answer.status >= _OK:
            raise _unreachable(
                "it knows no such deployment; `make deploy` makes it"
                if answer.status == _ABSENT
                else f"status {answer.status}"
            )
        return json.loads(content)


class LocalPipelines:
    """Runs ``pipeline`` as a process of this program, which ends with the agent."""

    def __init__(self, settings: Settings) -> None:
        self._environment = as_environment(settings)
        self._home = settings.annals_home

    def run(self, stop: threading.Event) -> bool:
        """Have one run; see :class:`sync_agent.trigger.Pipelines`."""
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
