"""The stack as compose's own parser reads it, and a machine to start it on."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from operations.stack.passwords import NAMES
from tests.conftest import ROOT, clean_environment
from tests.servers.building import built

PASSWORDS = {name: f"only-{name.lower()}-a-test" for name in NAMES}


def parse(
    *arguments: str, home: Path, files: tuple[str, ...] = ("docker-compose.yml",), **changes: str
) -> subprocess.CompletedProcess[str]:
    """Run compose's ``config`` on the repository's files; ``changes`` are variables."""
    named = [part for name in files for part in ("--file", str(ROOT / name))]
    return subprocess.run(
        [str(built("compose")), *named, "--profile", "*", "config", *arguments],
        env=clean_environment(home, **changes),
        cwd=home,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def model(home: Path, files: tuple[str, ...] = ("docker-compose.yml",), **changes: str) -> Any:
    """Return the parsed stack, every profile in it."""
    done = parse("--format", "json", home=home, files=files, **{**PASSWORDS, **changes})
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@dataclass(slots=True)
class Machine:
    """A folder like a checkout, and a ``docker`` before it that notes how it is called.

    What only parses goes to compose's own parser; what needs an engine is noted in ``calls`` and
    ends with the exit code in the file ``code``.
    """

    folder: Path
    home: Path
    programs: Path
    variables: dict[str, str] = field(default_factory=dict)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run ``python -m operations.stack`` for this folder."""
        path = f"{self.programs}:{os.environ['PATH']}"
        return self.run_with(path, *arguments)

    def run_with(self, path: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run it with another PATH."""
        import sys

        # No file by name: it is .env of the folder, as for any checkout.
        environment = clean_environment(self.home, ANNALS_ENV_FILE="", **self.variables)
        environment["PATH"] = path
        return subprocess.run(
            [sys.executable, "-m", "operations.stack", "--folder", str(self.folder), *arguments],
            env=environment,
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    @property
    def calls(self) -> list[str]:
        """The calls that needed an engine."""
        noted = self.folder / "calls"
        return noted.read_text().splitlines() if noted.exists() else []

    @property
    def started(self) -> Any:
        """The services as the last `up` would have started them, by compose's own parser."""
        # What `config` prints could be parsed again, so it doubles each $.
        return json.loads((self.folder / "model").read_text().replace("$$", "$"))["services"]

    def write(self, name: str, text: str) -> None:
        """Write a file of settings."""
        (self.folder / name).write_text(text)


def machine(folder: Path, home: Path, *, memory: int = 16 * 1024**3) -> Machine:
    """Return a machine with Docker, some memory, transcripts, and free ports."""
    from tests.servers.running import free_port

    (folder / "docker-compose.yml").symlink_to(ROOT / "docker-compose.yml")
    (folder / "deploy").symlink_to(ROOT / "deploy")
    (home / ".claude" / "projects").mkdir(parents=True)
    programs = folder / "programs"
    programs.mkdir()
    info = json.dumps({"MemTotal": memory, "DockerRootDir": str(folder)})
    (folder / "info").write_text(info)
    docker = programs / "docker"
    docker.write_text(
        "#!/bin/bash\n"
        f"place={folder}\n"
        'if [ "$1" = info ]; then cat "$place/info"; exit; fi\n'
        'if [ "$1" = volume ]; then test -e "$place/volume-is-there"; exit; fi\n'
        "shift\n"
        'case " $* " in\n'
        '*" version "*) cat "$place/version" 2>/dev/null; exit 0 ;;\n'
        f'*" config "*) exec {built("compose")} "$@" ;;\n'
        '*" ps --services "*) cat "$place/running" 2>/dev/null; exit ;;\n'
        '*" ps --all "*) cat "$place/ps" 2>/dev/null; exit ;;\n'
        '*" exec --no-TTY "*) echo "last run    pipeline, ok"; exit ;;\n'
        "esac\n"
        'echo "$*" >> "$place/calls"\n'
        'env | grep -E "^(ANNALS_UID|CLAUDE_DIR|MONGO_URI)=" >> "$place/environment"\n'
        'if [[ " $* " == *" up "* ]]; then\n'
        '  while [ "$1" != up ]; do before+=("$1"); shift; done\n'
        f'  {built("compose")} "${{before[@]}}" config --format json > "$place/model"\n'
        "fi\n"
        'exit "$(cat "$place/code" 2>/dev/null || echo 0)"\n'
    )
    docker.chmod(0o755)
    names = ("AGENT", "PREFECT", "METABASE", "DBT_DOCS", "GRAFANA")
    ports = {f"{name}_PORT": str(free_port()) for name in (*names, "OBJECT_STORE")}
    return Machine(folder, home, programs, ports)
