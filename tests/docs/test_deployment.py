"""docs/deployment.md and docs/unverified.md: what can run here runs, the rest names what exists."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from annals.settings import Settings
from annals.settings.stack import PROFILES, StackSettings
from tests.conftest import ROOT, clean_environment
from tests.deploy.dockerfiles import FILES, stages

PAPERS = {
    name: (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
    for name in ("deployment", "unverified")
}
BLOCK = re.compile(r"(?:<!-- (?P<mark>[^>]*) -->\n)?```sh\n(?P<code>.*?)```", re.DOTALL)
MARKS = {"needs Docker", "needs network", "another paper's: runs until it is stopped"}
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))


def _blocks(*, marked: bool) -> list[str]:
    return [
        match["code"]
        for text in PAPERS.values()
        for match in BLOCK.finditer(text)
        if bool(match["mark"]) is marked
    ]


@pytest.mark.parametrize("block", _blocks(marked=False), ids=lambda block: block.split()[0])
def test_what_needs_no_engine_runs(block: str, home: Path) -> None:
    """Each block without a mark runs as it stands, in a folder like a checkout."""
    shutil.copy(ROOT / ".env.analytics.example", home)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block],
        env=clean_environment(home),
        cwd=home,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_every_mark_is_one_that_is_known() -> None:
    """A block that is not run says why."""
    marks = {match["mark"] for text in PAPERS.values() for match in BLOCK.finditer(text)}
    assert marks - {None} <= MARKS


@pytest.mark.parametrize("block", _blocks(marked=True), ids=lambda block: block.split("\n")[0][:40])
def test_what_needs_docker_names_what_exists(block: str) -> None:
    """Targets of make, services, volumes and images in commands exist, and the shell takes them."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z-]+)", block)) <= targets
    named = re.findall(r"SERVICE=([a-z-]+)|\bannals-([a-z-]+)-1\b", block)
    assert {one or other for one, other in named} <= set(COMPOSE["services"])
    volumes = set(re.findall(r"annals_([a-z-]+):", block))
    assert volumes <= set(COMPOSE["volumes"])
    images = {one.get("image", "") for one in COMPOSE["services"].values()}
    bases = {stage.base for path in FILES for stage in stages(ROOT / path)}
    for image in re.findall(r"inspect (\S+)|(annals-\S+:\S+)", block):
        assert "".join(image) in images | bases
    assert subprocess.run(["bash", "-n", "-c", block], check=False).returncode == 0


def test_addresses_are_those_of_the_stack() -> None:
    """The table has each setting of a port with its default, and the service's part."""
    rows = [line for line in PAPERS["deployment"].splitlines() if "_PORT`" in line]
    ports = [name for name in StackSettings.model_fields if name.endswith("_port")]
    assert len(rows) == len(ports)
    for name in ports:
        (row,) = (one for one in rows if f"`{name.upper()}`" in one)
        default = StackSettings.model_fields[name].default
        assert not default or f"http://127.0.0.1:{default}" in row


def test_settings_and_parts_that_the_papers_name_exist() -> None:
    """Every capital name that is assigned or quoted as a setting is one; so is every part."""
    known = {name.upper() for name in {*Settings.model_fields, *StackSettings.model_fields}}
    known |= {"SERVICE", "PREFECT_UI_API_URL", "PREFECT_UI_URL"}
    known |= {f"PYICEBERG_CATALOG__DEFAULT__{name}" for name in ("WAREHOUSE", "TOKEN")}
    for text in PAPERS.values():
        assert set(re.findall(r"`([A-Z][A-Z_]{4,})[`=]", text)) <= known
        for parts in re.findall(r"STACK_PROFILES=([a-z0-9,]+)", text):
            assert set(parts.split(",")) <= set(PROFILES)


def test_every_image_without_a_digest_has_its_command() -> None:
    """What is not pinned by a digest is listed with the command that finds it."""
    images = {one["image"] for one in COMPOSE["services"].values() if "build" not in one}
    bases = {stage.base for path in FILES for stage in stages(ROOT / path)}
    for image in images | bases:
        is_ours = "/" not in image and ":" not in image
        if "@sha256:" not in image and not is_ours and not image.startswith("annals-"):
            assert f"docker buildx imagetools inspect {image}" in PAPERS["unverified"]


def test_no_digest_stands_where_nobody_published_it() -> None:
    """Digests are there for images of Docker's own library alone."""
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    text += "".join((ROOT / path).read_text(encoding="utf-8") for path in FILES)
    pinned = set(re.findall(r"([a-z0-9/-]+):[\w.-]+@sha256:", text))
    assert pinned == {"mongo", "postgres", "python", "eclipse-temurin"}
