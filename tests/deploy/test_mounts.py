"""Which folders of transcripts the containers get."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from annals.settings.stack import read_stack
from operations.stack.mounts import READERS, extra_mounts, linked_projects, refusal_of
from operations.stack.plan import make_plan


@pytest.fixture
def roots(tmp_path: Path) -> tuple[Path, ...]:
    """Return two roots, the first with links to another disk, to nowhere and to above itself."""
    first, second, disk = tmp_path / "a" / "one", tmp_path / "two", tmp_path / "disk" / "-shared"
    for folder in (first, second, disk):
        folder.mkdir(parents=True)
    (first / "-shared").symlink_to(disk)
    (first / "-gone").symlink_to(tmp_path / "gone")
    (first / "-above").symlink_to(tmp_path)
    (first / "-inside").symlink_to(second)
    return first, second


def test_every_root_and_link_target_is_mounted_or_refused(roots: tuple[Path, ...]) -> None:
    """Each further root and each target of a link is mounted; what is not is named with why."""
    disk = roots[0].parents[1] / "disk" / "-shared"
    assert extra_mounts(roots) == [roots[1], disk]
    refused = {link.path.name: refusal_of(link, roots) for link in linked_projects(roots)}
    assert refused == {
        "-shared": None,
        "-gone": "does not exist",
        "-above": "holds the transcript folder itself",
    }


def test_the_layer_mounts_them_read_only_under_their_own_paths(
    roots: tuple[Path, ...], tmp_path: Path
) -> None:
    """Both services that read transcripts get the same folders, and CLAUDE_DIR names each root."""
    joined = os.pathsep.join(map(str, roots))
    plan = make_plan(tmp_path, read_stack(tmp_path, {"CLAUDE_DIR": joined}), {})
    assert plan.environment["CLAUDE_DIR"] == joined
    assert plan.environment["TRANSCRIPTS"] == str(roots[0])
    services = json.loads(plan.layer)["services"]
    for name in READERS:
        volumes = services[name]["volumes"]
        assert [one["source"] for one in volumes] == list(map(str, extra_mounts(roots)))
        assert all(one["read_only"] and one["source"] == one["target"] for one in volumes)
