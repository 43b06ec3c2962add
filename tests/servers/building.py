"""Servers of the tests, built by Go or Maven, once for each version of their files."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
BUILT = HERE.parents[1] / ".servers"
PACKAGES = {
    "alerts": ".",
    "ferretdb": ".",
    "toxiproxy": "github.com/Shopify/toxiproxy/v2/cmd/server",
    "compose": "github.com/docker/compose/v2/cmd",
    "minio": "github.com/minio/minio",
}
"""What Go builds, by the folder that names its versions."""

JARS = ("restcatalog",)
"""What Maven brings together, and Java runs."""

MAVEN = ("--batch-mode", "--quiet", "dependency:copy-dependencies")


def built(name: str) -> Path:
    """Return the server's program, of those in ``JARS`` the folder of jars and classes.

    Skips where it cannot be built, and fails where ``CI=true``.
    """
    source = HERE / name
    digest = hashlib.sha256()
    for path in sorted(source.iterdir()):
        digest.update(path.read_bytes())
    program = BUILT / f"{name}-{digest.hexdigest()[:16]}"
    if program.exists():
        return program
    for tool in ("mvn", "javac") if name in JARS else ("go",):
        if shutil.which(tool) is None:
            _leave(f"{name} is built with {tool}, which is not installed")
    BUILT.mkdir(exist_ok=True)
    with (BUILT / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            _build(name, source, program)
    return program


def _build(name: str, source: Path, program: Path) -> None:
    half_made = program.with_suffix(".tmp")
    if name in JARS:
        shutil.rmtree(half_made, ignore_errors=True)
        _run(name, source, "mvn", *MAVEN, f"-DoutputDirectory={half_made}")
        _run(name, source, "javac", "-cp", f"{half_made}/*", "-d", str(half_made), "Main.java")
    else:
        _run(name, source, "go", "build", "-mod=mod", "-o", str(half_made), PACKAGES[name])
    half_made.replace(program)


def _run(name: str, source: Path, *command: str) -> None:
    done = subprocess.run(
        command,
        cwd=source,
        env={**os.environ, "GOTOOLCHAIN": "local", "GOWORK": "off", "CGO_ENABLED": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        _leave(f"{name} cannot be built: {(done.stderr + done.stdout).strip()[-400:]}")


def _leave(why: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(why)
    pytest.skip(why)


def main() -> int:
    """Build every server ahead of the tests; say what cannot be built, and go on without."""
    for name in (*PACKAGES, *JARS):
        try:
            built(name)
        except pytest.skip.Exception as reason:
            sys.stderr.write(f"left out: {reason}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
