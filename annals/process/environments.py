"""The environment of our programs and of the processes that they start.

Libraries take options from variables and from files of the working folder, and people export such
variables for other work. So variables of the families below are removed unless Annals sets or
documents them; a child process starts with Python's safe path, in a folder of ours.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from annals.files import folder_mode, make_folder
from annals.resources import ROOT

MARK, MADE = "ANNALS_ENVIRONMENT", "made"
"""Set for processes that we start and in our containers: there no variable is removed."""

_SAFE = {
    "PYICEBERG_HOME": str(ROOT / "annals" / "lake" / "iceberg_home"),
    "PYTHONSAFEPATH": "1",
}
"""Iceberg's library finds a file of ours before one of other work, and a process that a library
starts with ``python -c``, such as multiprocessing's, imports nothing from the working folder."""

FAMILIES = (
    "DBT_",
    "PREFECT_",
    "PYTHON",
    "PYICEBERG_",
    "AWS_",
    "DUCKDB_",
    "MOTHERDUCK_",
    "DOCKET_",
    "UVICORN_",
    "FASTAPI_",
    "ALEMBIC_",
    "SQLALCHEMY_",
    "OTEL_",
    "COMPOSE_",
    "DO_NOT_TRACK",
    "WEB_CONCURRENCY",
    "FORWARDED_ALLOW_IPS",
    "SSLKEYLOGFILE",
    "PGHOST",
    "PGSERVICE",
    "PGSYSCONFDIR",
)
"""How the variables begin by which the tools below us take options; case does not matter."""

OURS = frozenset(
    {
        "DBT_DOCS_PORT",
        "DBT_DOCS_URL",
        "DBT_TARGET",
        "PREFECT_API_URL",
        "PREFECT_LOGIN",
        "PREFECT_PORT",
        "PREFECT_UI_API_URL",
        "PREFECT_UI_URL",
        "AWS_ACCESS_KEY_ID",
        "AWS_REGION",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "DUCKDB_MEMORY_LIMIT",
        "DUCKDB_PATH",
        "DUCKDB_SPILL_LIMIT",
        "DUCKDB_SPILL_PATH",
        "DUCKDB_THREADS",
    }
)
"""Variables of these families that docs/reference/settings.md documents as ours."""

_HARMLESS = frozenset(
    {
        "DO_NOT_TRACK",
        "PYTHONDONTWRITEBYTECODE",
        "PYTHONFAULTHANDLER",
        "PYTHONHASHSEED",
        "PYTHONIOENCODING",
        "PYTHONNOUSERSITE",
        "PYTHONPYCACHEPREFIX",
        "PYTHONSAFEPATH",
        "PYTHONUNBUFFERED",
        "PYTHONUTF8",
    }
)
_CATALOG = re.compile(
    r"PYICEBERG_CATALOG__.+__(WAREHOUSE|TOKEN|CREDENTIAL|SCOPE|OAUTH2_SERVER_URI)"
)
"""What a REST catalog may need beyond our settings (docs/deployment.md)."""

_TARGETS = ("dev", "prod")
"""Targets of dbt/profiles.yml; a DBT_TARGET that is not one of them is of other work."""

_LOOPBACK = ("127.0.0.1", "localhost", "::1", "host.docker.internal")
"""This machine; the last is what a container calls the one that it runs on."""

_PROXY = re.compile(r"(?i)(?!no_|outbound_).+_proxy")
"""Variables that send requests to somebody else's server first (docs/adr/0036)."""

CERTIFICATES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""Bundles of certificates; a library that cannot read the one it is given does not even start."""

_removed: set[str] = set()
_chosen_proxy: dict[str, str] = {}
_proxies_of_others: dict[str, str] = {}


def is_foreign(name: str, value: str = "") -> bool:
    """Return whether a variable may be of other work and would change what tools below us do."""
    upper = name.upper()
    if upper == "DBT_TARGET" and value and value not in _TARGETS:
        return True
    if upper in CERTIFICATES:
        return bool(value) and not os.access(value, os.R_OK)
    known = upper in OURS or upper in _HARMLESS or _CATALOG.fullmatch(upper)
    is_family = upper.startswith(FAMILIES) or _PROXY.fullmatch(upper)
    return bool(is_family) and not known


def child_environment(additions: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a process that we start: ours, no foreign variable, ``additions``.

    Python imports our packages first, nothing from the working folder, and no output encoding that
    was chosen for another reader than us.
    """
    own = _without_foreign(os.environ)
    own.pop("PYTHONIOENCODING", None)
    return {
        **own,
        **_chosen_proxy,
        **_SAFE,
        "PYTHONPATH": str(ROOT),
        "DO_NOT_TRACK": "1",
        MARK: MADE,
        **(additions or {}),
    }


def tool_environment(additions: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a tool that is not ours, such as systemctl or docker.

    It keeps the proxy of its user: docker fetches images by it, and gets no data of ours.
    """
    return {**_without_foreign(os.environ), **_proxies_of_others, **(additions or {})}


def module_command(module: str, *words: str) -> tuple[str, ...]:
    """Return the command that runs one of our modules, or a library's, with the safe path."""
    return (sys.executable, "-P", "-m", module, *words)


def work_folder(home: Path) -> Path:
    """Return the folder in which child processes start, below ANNALS_HOME; it is made if missing.

    No configuration file of another program lies there, so a library finds none. Raises
    SettingsError (exit 3) if a link or a folder of another user has its name.
    """
    return make_folder(home / "work", mode=folder_mode())


def prepare_environment() -> None:
    """Remove foreign variables and import paths from this process, as each program of ours begins.

    What was removed is known to :func:`removed_names`.
    """
    prefer_own_packages()
    for name in _foreign(os.environ):
        value = os.environ.pop(name)
        _removed.add(name.upper())
        if _PROXY.fullmatch(name):
            _proxies_of_others[name] = value
    os.environ.update(_SAFE)


def removed_proxies() -> tuple[str, ...]:
    """Return the names of the variables of proxies that :func:`prepare_environment` removed."""
    return tuple(sorted({name.upper() for name in _proxies_of_others}))


def removed_names() -> frozenset[str]:
    """Return the names of the variables that :func:`prepare_environment` removed."""
    return frozenset(_removed)


def use_proxy(address: str, direct: Iterable[str]) -> None:
    """Send requests of this process and its children to a proxy, those to ``direct`` excepted.

    Requests to this machine never go there. What NO_PROXY lists stays excepted.
    """
    listed = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    hosts = ",".join(dict.fromkeys(filter(None, (*listed.split(","), *_LOOPBACK, *direct))))
    names = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")
    _chosen_proxy.update(dict.fromkeys(names, address))
    _chosen_proxy.update({"no_proxy": hosts, "NO_PROXY": hosts})
    os.environ.update(_chosen_proxy)


@contextlib.contextmanager
def own_variables(additions: Mapping[str, str] | None = None) -> Iterator[None]:
    """Run the body without foreign variables and with ``additions``; put all back afterwards."""
    before = dict(os.environ)
    for name in _foreign(before):
        del os.environ[name]
    os.environ.update(additions or {})
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


def _without_foreign(environment: Mapping[str, str]) -> dict[str, str]:
    foreign = set(_foreign(environment))
    return {name: value for name, value in environment.items() if name not in foreign}


def _foreign(environment: Mapping[str, str]) -> list[str]:
    """Return the variables of other work; a proxy may be one even in what was made for us."""
    is_made = environment.get(MARK) == MADE
    return [
        name
        for name, value in environment.items()
        if _chosen_proxy.get(name) != value
        and (_PROXY.fullmatch(name) or (not is_made and is_foreign(name, value)))
    ]


def prefer_own_packages() -> None:
    """Let PYTHONPATH and the working folder come last, so that no package there replaces ours."""
    if os.environ.get(MARK) == MADE:
        return
    python_path = os.environ.get("PYTHONPATH", "")
    others = {os.path.realpath(part) for part in ("", *python_path.split(os.pathsep))}
    others -= {str(ROOT)}
    last = [entry for entry in sys.path if os.path.realpath(entry) in others]
    sys.path[:] = [entry for entry in sys.path if entry not in last] + last
