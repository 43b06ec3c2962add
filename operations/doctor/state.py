"""Checks of the state folders: whose they are, who else may reach them, on what disk they are."""

from __future__ import annotations

import os
import re
from pathlib import Path

from annals.access import open_paths, refused_parts, shared_folders
from annals.settings import Settings
from operations.doctor.findings import Finding, broken, doubtful, fine

_LOOKED_AT = 20_000
_NETWORK = re.compile(r"(nfs\d?|cifs|smb\d?|smbfs|9p|afs|ceph|glusterfs|lustre|fuse\.sshfs|ncpfs)")
_MOUNTS = Path("/proc/self/mounts")
_OCTAL = re.compile(r"\\([0-7]{3})")


def check_ownership(settings: Settings) -> list[Finding]:
    """Return whether this user may use every part of the state."""
    errors = list(refused_parts(settings))
    if errors:
        more = f" (and {len(errors) - 1} more paths)" if errors[1:] else ""
        return [broken("owner", f"{errors[0].message}{more}", remedy=errors[0].hint)]
    return [fine("owner", "every part of the state may be used by this user")]


def privacy(settings: Settings) -> list[Finding]:
    """Return whether others may read the state, or replace a part of it."""
    findings = []
    paths = open_paths(settings, limit=_LOOKED_AT)
    if paths:
        group = settings.state_mode == "group"
        says = f"{len(paths):,} paths of the state are open to others, such as {paths[0]}"
        change = "o-rwx" if group else "go-rwx"
        remedy = (
            "Run `annals pipeline`, which closes what belongs to you; as the owner of the rest run"
            f" `chmod -R {change} FOLDER`."
        )
        findings.append(doubtful("privacy", says, remedy=remedy))
    folders = shared_folders(settings)
    if folders:
        says = f"other users may replace files of the state in {folders[0]}"
        remedy = "Set ANNALS_HOME and SQLITE_PATH to folders that only you may write."
        findings.append(doubtful("privacy", says, remedy=remedy))
    return findings or [fine("privacy", f"closed to others (STATE_MODE={settings.state_mode})")]


def network(settings: Settings, mounts: Path = _MOUNTS) -> list[Finding]:
    """Return whether the state is on a network file system, whose locks may not hold."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    table = {_plain(words[1]): words[2] for line in lines if len(words := line.split()) > 2}  # noqa: PLR2004
    findings = []
    for name, path in (
        ("SQLITE_PATH", settings.sqlite_path),
        ("ANNALS_HOME", settings.annals_home),
    ):
        real = Path(os.path.realpath(path))
        kind = next((table[str(at)] for at in (real, *real.parents) if str(at) in table), "")
        if _NETWORK.fullmatch(kind):
            says = f"{path} is on a network file system ({kind}), where locks may not hold"
            remedy = f"Set {name} to a local disk; SQLite and DuckDB need locks that hold."
            findings.append(doubtful("file system", says, remedy=remedy))
    return findings


def _plain(text: str) -> str:
    """Return a mount point without the octal escapes of blanks."""
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), text)
