"""Checks of what decides where data goes: the settings file, and the places that settings name."""

from __future__ import annotations

import stat
from pathlib import Path

from annals.process.environments import CERTIFICATES, removed_names, removed_proxies
from annals.settings import Settings
from annals.settings.files import OPTION, settings_files, shown_path
from annals.settings.typo_check import find_typos
from flows.leaving import destinations
from operations.doctor.findings import Finding, broken, doubtful, fine


def settings_found(settings: Settings) -> list[Finding]:
    """Return which file is read and which is not, what is invalid, and what looks like a slip."""
    remedy = "Correct the name; `annals config show` lists them. Else set the one it looks like."
    return [
        *_invalid(settings),
        *_files(),
        *_certificates(),
        *(doubtful("settings", says, remedy=remedy) for says in find_typos()),
    ]


def _invalid(settings: Settings) -> list[Finding]:
    if not settings.invalid:
        return [fine("settings", "all valid; `annals config show --origin` lists them")]
    return [broken("settings", one.message, remedy=one.hint) for one in settings.invalid.values()]


def _files() -> list[Finding]:
    if not (files := settings_files()):
        return [fine("settings file", "there is none; flags, environment and defaults count")]
    used, *others = files
    says = f"{shown_path(used)} is read" + (", a link" if used.is_symlink() else "")
    findings = [fine("settings file", says)]
    if _is_group_writable(used):
        remedy = f"Run `chmod 600 {used}`."
        findings = [doubtful("settings file", f"{says}; its group may change it", remedy=remedy)]
    for path in others:
        remedy = f"Join the two files, or read that one with {OPTION} {path}."
        says = f"{shown_path(path)} is not read, as {shown_path(used)} comes first"
        findings.append(doubtful("settings file", says, remedy=remedy))
    return findings


def _certificates() -> list[Finding]:
    """Return a finding for each bundle of certificates that cannot be read, and so is not used."""
    remedy = "Correct or unset it; certificates of the system are used until then."
    return [
        doubtful("certificates", f"{name} names a file that cannot be read", remedy=remedy)
        for name in CERTIFICATES
        if name in removed_names()
    ]


def _is_group_writable(path: Path) -> bool:
    return bool(path.stat().st_mode & stat.S_IWGRP)


def destinations_found(settings: Settings) -> list[Finding]:
    """Return where data goes, and what keeps it from going there."""
    places = destinations(settings)
    findings = []
    for one in places:
        if one.fault:
            findings.append(broken("destination", str(one), remedy=f"Correct {one.setting}."))
        elif one.allowed_by is None:
            remedy = f"Run `annals sync allow {one.destination}`, or unset {one.setting}."
            findings.append(broken("destination", str(one), remedy=remedy))
        else:
            findings.append(fine("destination", str(one)))
    findings += _proxies(settings, is_leaving=any(not one.is_here for one in places))
    return findings or [fine("destination", "no setting names a place off this machine")]


def _proxies(settings: Settings, *, is_leaving: bool) -> list[Finding]:
    """Return a finding if a proxy of other work might be needed, which is never used."""
    names = removed_proxies()
    if not names or not is_leaving or settings.outbound_proxy is not None:
        return []
    says = f"{', '.join(names)} is set and not used: data of Annals goes there directly"
    remedy = "Set OUTBOUND_PROXY if the places off this machine are reached by a proxy only."
    return [doubtful("proxy", says, remedy=remedy)]
