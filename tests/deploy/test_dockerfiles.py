"""The Dockerfiles: linted, pinned, without root; what they run is run here without an engine."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import ROOT, clean_environment
from tests.deploy.dockerfiles import FILES, Stage, stages
from tests.deploy.stacks import model
from tests.servers.running import free_port

PROGRAMS = Path(sys.executable).parent
ANNALS = ROOT / FILES[0]
PATIENCE_SECONDS = 60
EVERYTHING = """
import importlib, pkgutil, sync_agent
for module in pkgutil.iter_modules(sync_agent.__path__, "sync_agent."):
    importlib.import_module(module.name)
"""


def _stage(name: str) -> Stage:
    (found,) = (one for one in stages(ANNALS) if one.name == name)
    return found


def _final(path: str) -> list[Stage]:
    """Return the stages that become an image which runs."""
    return [one for one in stages(ROOT / path) if one.all("ENTRYPOINT")]


@pytest.mark.parametrize("path", FILES)
def test_hadolint_finds_nothing(path: str) -> None:
    """The linter of Dockerfiles is content."""
    done = subprocess.run(
        [PROGRAMS / "hadolint", ROOT / path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_shellcheck_finds_nothing() -> None:
    """The linter of shell scripts is content with every script of the images."""
    scripts = sorted((ROOT / "deploy").rglob("*.sh"))
    assert len(scripts) >= 4
    done = subprocess.run(
        [PROGRAMS / "shellcheck", *scripts], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", FILES)
def test_images_run_without_root_and_are_checked(path: str) -> None:
    """The last user is a number above 0; entry, command and health check need no shell."""
    assert _final(path)
    for stage in _final(path):
        assert re.fullmatch(r"[1-9]\d+:0", stage.all("USER")[-1]), stage.name
        for kind in ("ENTRYPOINT", "CMD"):
            assert all(text.startswith("[") for text in stage.all(kind)), stage.name
        (check,) = stage.all("HEALTHCHECK")
        assert "CMD [" in check


@pytest.mark.parametrize("path", FILES)
def test_every_base_is_pinned(path: str) -> None:
    """A digest, a stage of the same file, nothing at all, or a version that is said to be open."""
    known = {"scratch"}
    unverified = (ROOT / "docs" / "unverified.md").read_text(encoding="utf-8")
    for stage in stages(ROOT / path):
        if stage.base not in known and "@sha256:" not in stage.base:
            assert re.search(r":\d[\d.]*$", stage.base)
            assert f"docker buildx imagetools inspect {stage.base}" in unverified
        assert ":latest" not in stage.base
        known.add(stage.name)


def test_packages_are_installed_by_their_hashes() -> None:
    """Every installation of packages wants hashes, from a locked file."""
    runs = [run for stage in stages(ANNALS) for run in stage.all("RUN") if "pip install" in run]
    assert len(runs) == 2
    assert all(
        "--require-hashes" in run and "--requirement /requirements.txt" in run for run in runs
    )


def test_final_images_hold_no_tools_of_the_build() -> None:
    """What runs is copied from stages that build; it installs nothing itself."""
    for name in ("agent", "platform"):
        stage = _stage(name)
        assert not any("pip" in run or "apt" in run for run in stage.all("RUN"))
        copied = [text.split()[0] for text in stage.all("COPY")]
        assert copied == [f"--from={name}-packages", f"--from={name}-source"]
        (run,) = _stage(f"{name}-packages").all("RUN")
        assert run.endswith("pip uninstall --yes pip setuptools")


def test_what_is_copied_is_there_and_is_let_through() -> None:
    """Each source exists, .dockerignore lets it through, and nothing private is let through."""
    ignore = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    let = {line.removeprefix("!") for line in ignore if line.startswith("!")}
    assert "*" in ignore
    sources = {
        text.split()[0]
        for stage in stages(ANNALS)
        for text in stage.all("COPY")
        if not text.startswith("--from")
    }
    for source in sources:
        assert any(source == one or source.startswith(f"{one}/") for one in let), source
        # prefect.yaml comes with the deployments.
        assert (ROOT / source).exists() or not (ROOT / "flows" / "prefect").exists(), source
    assert not any(one.startswith((".env", "examples", "docs", "tests")) for one in let)


def test_the_agent_has_the_versions_of_everything_else() -> None:
    """requirements/agent.txt is a part of what the whole program is locked to, and a small one."""

    def pins(name: str) -> set[str]:
        text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
        return set(re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^\]]+\])?(==\S+)", text, re.MULTILINE))

    agent, runtime = pins("agent.txt"), pins("runtime.txt")
    assert agent <= runtime
    assert not {"pyarrow", "duckdb", "dbt-core", "prefect", "pyiceberg"} & {one[0] for one in agent}


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that holds what the image of the agent holds, made by its instructions."""
    root = tmp_path_factory.mktemp("image")
    for name in ("agent-packages", "agent-source", "agent"):
        for kind, text in _stage(name).instructions:
            if kind == "COPY" and not text.startswith("--from"):
                _copy(root, *text.split())
            elif kind == "RUN":
                _execute(root, text)
    return root


def _copy(root: Path, source: str, target: str) -> None:
    place = root / target.lstrip("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    if (ROOT / source).is_dir():
        shutil.copytree(ROOT / source, place, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(ROOT / source, place)


def _execute(root: Path, command: str) -> None:
    """Run a command of the build, with the folder in place of the image's root."""
    here = re.sub(r"(?<=[\s=])/(?=opt|app|requirements|buffer|state)", f"{root}/", command)
    if os.getuid():
        here = here.replace("--owner=10001 --group=0", "")
    environment = {**os.environ, "PATH": f"{PROGRAMS}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["sh", "-euc", here], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def _inside(root: Path, instruction: str) -> list[str]:
    """Return the words of an ENTRYPOINT, CMD or HEALTHCHECK as they are called from outside."""
    words: list[str] = json.loads(instruction[instruction.index("[") :])
    words = [re.sub(r"^/(?=app)", f"{root}/", word) for word in words]
    return [str(root / "opt/annals/bin/python") if word == "python" else word for word in words]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_image_of_the_agent_reads_and_is_healthy(image: Path, home: Path) -> None:
    """With its few packages, entry and command start an agent that its health check finds well."""
    assert not (image / "opt/annals/bin/pip").exists()
    transcripts = home / "projects"
    (transcripts / "-a").mkdir(parents=True)
    (transcripts / "-a" / "1.jsonl").write_text('{"type":"user"}\n')
    port = str(free_port())
    buffer = image / "buffer"
    environment = clean_environment(
        home,
        PYTHONPATH=str(image / "app"),
        CLAUDE_DIR=str(transcripts),
        SQLITE_PATH=str(buffer / "buffer.db"),
        ANNALS_HOME=str(image / "state"),
        ANNALS_WRITES=str(buffer),
        HEALTH_PORT=port,
    )
    stage = _stage("agent")
    entry, command = (_inside(image, stage.all(kind)[0]) for kind in ("ENTRYPOINT", "CMD"))
    check = _inside(image, stage.all("HEALTHCHECK")[0])
    check = [word.replace(":9090/", f":{port}/") for word in check]
    log = home / "log"
    with log.open("wb") as file:
        agent = subprocess.Popen(
            [*entry, *command], env=environment, cwd=home, stdout=file, stderr=file
        )
    try:
        until = time.monotonic() + PATIENCE_SECONDS
        while subprocess.run(check, env=environment, capture_output=True, check=False).returncode:
            assert agent.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.2)
    finally:
        agent.send_signal(signal.SIGTERM)
        assert agent.wait(PATIENCE_SECONDS) == 0, log.read_text()
    status = [command[0], "-m", "analytics.cli", "sync", "log", "--json"]
    done = subprocess.run(status, env=environment, capture_output=True, text=True, check=True)
    assert "1.jsonl" in done.stdout
    subprocess.run([command[0], "-c", EVERYTHING], env=environment, check=True)


def test_the_bill_of_materials_is_what_is_installed(image: Path) -> None:
    """Every package of the agent's image with version and address, and nothing else."""
    script = ROOT / "deploy" / "annals" / "sbom.py"
    command = [sys.executable, script, image / "opt" / "annals", "annals-agent"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    bill = json.loads(done.stdout)
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5")
    found = {one["purl"] for one in bill["components"]}
    text = (image / "requirements.txt").read_text(encoding="utf-8")
    locked = re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^\]]+\])?==(\S+)(.*)", text, re.MULTILINE)
    wanted = {
        f"pkg:pypi/{name.lower().replace('_', '-')}@{version}"
        for name, version, rest in locked
        if "win32" not in rest
    }
    assert found == wanted
    assert sum("licenses" in one for one in bill["components"]) > len(found) / 2


def test_every_volume_lies_on_a_folder_that_its_user_owns(home: Path) -> None:
    """A new volume takes over owner and mode of the image's folder; each of ours has one."""
    services = model(home)["services"]
    checked = 0
    for name, service in services.items():
        build = service.get("build")
        if not build:
            continue
        path = Path(build["context"], build.get("dockerfile", "Dockerfile"))
        wanted = build.get("target", _final(str(path.relative_to(ROOT)))[-1].name)
        (stage,) = (one for one in stages(path) if one.name == wanted)
        made = " ".join(run for run in stage.all("RUN") if "10001" in run).split()
        for mount in service.get("volumes", []):
            if mount["type"] == "volume":
                checked += 1
                assert mount["target"] in made, f"{name}: {mount['target']}"
    assert checked > 8
