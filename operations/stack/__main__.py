"""``python -m operations.stack COMMAND``: the Makefile's targets for the stack of containers."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from annals.errors import DependencyError, SettingsError
from annals.process.environments import child_environment, module_command, tool_environment
from annals.process.program import exit_code_of
from annals.settings.files import settings_file, use_settings_file
from annals.settings.stack import read_stack
from annals.settings.typo_check import find_typos
from annals.text import one_line
from operations.doctor.findings import Finding, Verdict
from operations.stack import condition, preflight
from operations.stack.contradictions import refuse_contradictions
from operations.stack.inside import FILE as LAYER_FILE
from operations.stack.passwords import FILE as PASSWORDS_FILE
from operations.stack.passwords import ensure_passwords, write_private
from operations.stack.places import SENT, with_stack_places
from operations.stack.plan import Plan, make_plan
from sync_agent.agent.confirming import confirm_destinations

FOLDER = Path(__file__).resolve().parents[2]
"""The checkout: where docker-compose.yml and the files of settings are."""

_HEALTHY_WITHIN_SECONDS = 600


def up(plan: Plan, services: Sequence[str]) -> int:
    """Build and start the stack, and wait until every service is healthy."""
    for note in plan.notes:
        _say(f"note: {note}")
    waiting = ("--detach", "--build", "--wait", f"--wait-timeout={_HEALTHY_WITHIN_SECONDS}")
    code = _docker(plan, "up", *waiting, "--remove-orphans", *services)
    if code:
        _say("error: the stack did not become healthy")
        _say("hint: `make status`, then `make logs SERVICE=name`.")
        return code
    for name, port in plan.ports.items():
        sys.stdout.write(f"{name:<16}http://127.0.0.1:{port}\n")
    return 0


def down(plan: Plan, _services: Sequence[str]) -> int:
    """Stop the stack; an active run is finished by the next one, and every volume stays."""
    return _docker(plan, "--profile", "*", "down", "--remove-orphans")


def restart(plan: Plan, services: Sequence[str]) -> int:
    """Restart all services or those named."""
    return _docker(plan, "restart", *services)


def status(plan: Plan, _services: Sequence[str]) -> int:
    """Show the health of every service, the last run, what waits, and the disk."""
    now = condition.services(plan)
    for one in now:
        words = f"{one.state:<10}{one.health or one.note}".rstrip()
        sys.stdout.write(f"{one.name:<18}{words}\n")
    sys.stdout.write(f"\n{condition.pipeline(plan)}")
    found = preflight.engine(plan.environment)
    if isinstance(found, preflight.Engine):
        free = found.disk_free / preflight.GIB
        sys.stdout.write(f"disk        {free:.1f} GiB free at {found.place}\n")
    return 0 if all(one.is_well for one in now) else DependencyError.exit_code


def logs(plan: Plan, services: Sequence[str]) -> int:
    """Follow the log of the worker, or of the services named."""
    return _docker(plan, "logs", "--follow", "--tail=200", *(services or ("prefect-worker",)))


def shell(plan: Plan, services: Sequence[str]) -> int:
    """Open a shell in the worker, or in the service named."""
    return _docker(plan, "exec", *(services or ("prefect-worker",)), "/bin/sh")


def check(plan: Plan, _services: Sequence[str]) -> int:
    """Print what keeps the stack from starting, and start nothing."""
    return _docker(plan, "config", "--quiet")


COMMANDS: dict[str, Callable[[Plan, Sequence[str]], int]] = {
    one.__name__: one for one in (up, down, restart, status, logs, shell, check)
}
_BEGINNINGS = ("up", "check")


def _local_status() -> int:
    """Show the status of this machine, where no stack was ever started."""
    _say("note: no stack was started here; this is the status of the machine itself")
    command = module_command("analytics.cli", "status")
    done = subprocess.run(  # noqa: S603 -- this very program
        command, env=child_environment(), check=False
    )
    return done.returncode


def _look(plan: Plan, found: preflight.Engine, folder: Path) -> None:
    """Look at the machine; raise where something keeps the stack from working."""
    findings = preflight.examine(plan, found, folder, preflight.running(plan))
    for one in findings:
        if one.verdict is Verdict.WARN:
            _say(f"warning: {one.says}\nhint: {one.remedy}")
    if failed := [one for one in findings if one.verdict is Verdict.FAIL]:
        raise _refused(failed)


def _refused(findings: Sequence[Finding]) -> DependencyError:
    says = "; ".join(one.says for one in findings)
    remedies = dict.fromkeys(one.remedy or "" for one in findings)
    return DependencyError(says, hint=" ".join(remedies), checks=[one.check for one in findings])


def _docker(plan: Plan, *arguments: str) -> int:
    try:
        return subprocess.run(  # noqa: S603 -- a fixed command
            (*plan.command, *arguments), env=dict(plan.environment), check=False
        ).returncode
    except FileNotFoundError as error:
        raise DependencyError(
            "Docker is not installed here", hint=f"Install it. {preflight.WITHOUT}"
        ) from error


def _say(line: str) -> None:
    sys.stderr.write(f"{one_line(line)}\n")


def _prepared(folder: Path, *, begins: bool) -> Plan:
    """Return the plan; where the stack ``begins``, passwords that are missing are made.

    Raises DependencyError (exit 4) where Docker cannot be used, SettingsError (exit 3) where the
    settings are wrong or the passwords of volumes that are there got lost.
    """
    plan = _planned(folder, begins=begins)
    found = preflight.engine(plan.environment)
    if isinstance(found, Finding):
        raise _refused([found])
    passwords = folder / PASSWORDS_FILE
    if not begins and not passwords.exists():
        raise DependencyError("the stack was never started here", hint="`make up` starts it.")
    if lost := preflight.lost_passwords(folder, plan):
        raise SettingsError(lost[0].says, hint=lost[0].remedy or "")
    if begins and (made := ensure_passwords(passwords)):
        _say(f"note: made {len(made)} passwords in {PASSWORDS_FILE}; keep a copy with your backups")
    _lay(folder / LAYER_FILE, plan.layer)
    if begins:
        _look(plan, found, folder)
    return plan


def _planned(folder: Path, *, begins: bool) -> Plan:
    given = read_stack(folder, os.environ)
    file = settings_file(folder)
    for says in find_typos(file) if file else ():
        _say(f"warning: {says}")
    if begins:
        confirm_destinations(with_stack_places(given.settings), *SENT)
        refuse_contradictions(given)
    return make_plan(folder, given, tool_environment())


def _lay(path: Path, text: str) -> None:
    """Write the layer where it changed, so that two commands at once seldom both write."""
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        write_private(path, text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code (docs/reference/exit-codes.md)."""
    parser = argparse.ArgumentParser(prog="python -m operations.stack", description=__doc__)
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("services", nargs="*")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--env-file", metavar="FILE", type=use_settings_file)
    given = parser.parse_args(arguments)

    def work() -> int:
        if given.command == "status" and not (given.folder / PASSWORDS_FILE).exists():
            return _local_status()
        plan = _prepared(given.folder, begins=given.command in _BEGINNINGS)
        return COMMANDS[given.command](plan, given.services)

    return exit_code_of(work)


if __name__ == "__main__":
    sys.exit(main())
