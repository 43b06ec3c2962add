"""Commands of Annals as real processes without their start: forked from one that imported it all.

A command that builds something takes seconds to import its libraries and to parse the dbt project,
many tests start one, and only the tests of that start tell anything by it. A forked command has an
environment, a folder, streams, an exit code and a process id of its own, and dies of signals as any
other does. Where the environment holds more than our settings, the caller starts a new Python.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from annals.settings import Settings
from annals.settings.files import VARIABLE

ROOT = Path(__file__).resolve().parents[2]
FREE = {name.upper() for name in Settings.model_fields} | {"HOME", VARIABLE, "CLAUDE_CONFIG_DIR"}
"""Variables that nothing reads while it is imported."""

HEAVY = (
    "analytics.cli.app",
    "sync_agent.agent.once",
    "sync_agent.agent.shipment",
    "extractors.extract",
    "extractors.mongo",
    "loaders.audit",
    "loaders.load",
    "loaders.publish",
    "loaders.transform",
)
"""What the commands that take long import."""

_PASSING = ("PYTEST_", "COLUMNS", "LINES")
_LONGEST_REQUEST = 1 << 20
_BEGIN = "import sys; from tests.servers.warm import serve; serve(int(sys.argv[1]))"


def may_fork(environment: Mapping[str, str], outside: Mapping[str, str]) -> bool:
    """Return whether a forked command would be the same as a new one in this environment.

    ``outside`` is the environment in which :class:`Warm` begins.
    """
    names = outside.keys() | environment.keys()
    other = {name for name in names if environment.get(name) != outside.get(name)}
    if environment.get("PYTHONPATH") == str(ROOT):
        other.discard("PYTHONPATH")
    return all(name.upper() in FREE or name.startswith(_PASSING) for name in other)


class WarmProcess:
    """A command that runs, with the methods of ``subprocess.Popen`` that tests use."""

    def __init__(self, connection: socket.socket) -> None:
        self._answers = connection.makefile("r")
        self._connection = connection
        self.pid = int(self._answer())
        self.returncode: int | None = None

    def _answer(self) -> str:
        line = self._answers.readline()
        if not line:
            raise ChildProcessError("the process that commands are forked from is gone")
        return line

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end and return its exit code, negative for the signal it died of."""
        if self.returncode is None:
            self._connection.settimeout(timeout)
            try:
                self.returncode = int(self._answer())
            except TimeoutError:
                raise subprocess.TimeoutExpired("annals", timeout or 0) from None
            self.close()
        return self.returncode

    def close(self) -> None:
        """Hear no more of it."""
        self._answers.close()
        self._connection.close()

    def kill(self) -> None:
        """End it as a power failure would."""
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, 9)


class Warm:
    """The process that commands are forked from; it ends with the one that made it."""

    def __init__(self, outside: Mapping[str, str]) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="annals-warm-")
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _BEGIN, str(theirs.fileno())],
                env={**outside, "PYTHONPATH": str(ROOT), "HOME": self._folder.name}
                | {"ANNALS_HOME": self._folder.name, "TIMEZONE": "UTC", VARIABLE: os.devnull}
                | {"OPENBLAS_NUM_THREADS": "1"},  # threads do not survive a fork
                cwd=self._folder.name,
                pass_fds=(theirs.fileno(),),
            )
        self._socket = ours
        self._lock = threading.Lock()

    def start(
        self, *arguments: str, env: Mapping[str, str], cwd: Path, streams: Sequence[int]
    ) -> WarmProcess:
        """Start a command with descriptors for standard input, output and error."""
        request = {"arguments": arguments, "env": dict(env), "cwd": str(cwd)}
        ours, theirs = socket.socketpair()
        with theirs, self._lock:
            socket.send_fds(
                self._socket, [json.dumps(request).encode()], [theirs.fileno(), *streams]
            )
            self._socket.recv(1)  # one request at a time is on the way
        return WarmProcess(ours)

    def run(
        self, *arguments: str, env: Mapping[str, str], cwd: Path, timeout: float
    ) -> tuple[int, str, str]:
        """Run a command to its end; return its exit code and what it wrote."""
        with (
            Path(os.devnull).open("rb") as nothing,
            tempfile.TemporaryFile() as out,
            tempfile.TemporaryFile() as err,
        ):
            streams = [nothing.fileno(), out.fileno(), err.fileno()]
            process = self.start(*arguments, env=env, cwd=cwd, streams=streams)
            try:
                code = process.wait(timeout)
            finally:
                process.kill()
                process.close()
            return code, *(_text_of(file) for file in (out, err))

    def close(self) -> None:
        """End it."""
        self._socket.close()
        self._process.wait()
        self._folder.cleanup()


def _text_of(file: Any) -> str:
    file.seek(0)
    text: str = file.read().decode()
    return text.replace("\r\n", "\n")


def serve(descriptor: int) -> None:
    """Import what commands import, and fork one for each request until nobody asks any more."""
    _prepare()
    requests = socket.socket(fileno=descriptor)
    while True:
        message, streams, _, _ = socket.recv_fds(requests, _LONGEST_REQUEST, 4)
        if not message:
            return
        if os.fork() == 0:
            requests.close()
            _run_and_tell(json.loads(message), streams)
        for stream in streams:
            os.close(stream)
        requests.send(b".")
        _reap()


def _reap() -> None:
    """Take note of keepers that ended."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _prepare() -> None:
    """Do what each command begins with, import what the heavy ones need, and parse the project."""
    import gc

    from annals.files import set_umask
    from annals.process.environments import prepare_environment
    from annals.settings import load_settings

    set_umask()
    prepare_environment()
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    from flows import stages
    from tests.servers.forking import other_threads, parse_project

    for name in HEAVY:
        importlib.import_module(name)
    parse_project(load_settings())
    assert not (threads := other_threads()), f"commands would miss these threads: {threads}"
    # What is ready here needs no process that gets it ready; tests/flows/test_ahead.py has those.
    vars(stages)["Announced"] = lambda progress, _ahead: progress
    gc.freeze()


def _run_and_tell(request: dict[str, Any], descriptors: Sequence[int]) -> None:
    """Fork the command, and tell its process id and its exit code."""
    answers, *streams = descriptors
    pid = os.fork()
    if pid == 0:
        os.close(answers)
        _become(request, streams)
    for stream in (0, 1, 2, *streams):
        os.close(stream)
    os.write(answers, f"{pid}\n".encode())
    _, status = os.waitpid(pid, 0)
    with contextlib.suppress(BrokenPipeError):
        os.write(answers, f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def _become(request: dict[str, Any], streams: Sequence[int]) -> None:
    """Be the command, to its end."""
    code = 1
    try:
        _enter(request, streams)
        from analytics.cli import __main__ as program

        sys.modules["__main__"] = program
        program.main()
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 0
    except BaseException:  # noqa: BLE001 - the edge of this process
        traceback.print_exc()
    finally:
        _leave(code)


def _enter(request: dict[str, Any], streams: Sequence[int]) -> None:
    """Take the request's environment, folder and streams."""
    for place, stream in enumerate(streams):
        os.dup2(stream, place)
        os.close(stream)
    os.environ.clear()
    os.environ.update(request["env"])
    time.tzset()
    os.umask(0o022)
    os.chdir(request["cwd"])
    sys.argv = ["annals", *request["arguments"]]
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - indefinitely
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False, buffering=1)  # noqa: SIM115


def _leave(code: int) -> None:
    """End as Python does: its threads, what was registered for the end, what is not written yet."""
    threading._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)
