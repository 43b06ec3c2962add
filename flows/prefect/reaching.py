"""Whether the Prefect server answers and lets us in, asked before Prefect itself is loaded."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
from http import HTTPStatus

from annals.errors import DependencyError, SettingsError
from annals.prefect_api import (
    PrefectApi,
    PrefectRefusedError,
    client_variables,
    find_login,
    login_file,
)
from annals.process.environments import work_folder
from annals.secrecy import shown_address
from annals.settings import Settings
from annals.settings.destinations import require_allowed


def reach(settings: Settings) -> str:
    """Return the server's address, having told Prefect, and made sure that it lets us in.

    Raises SettingsError (exit 3) where Prefect is not installed, the server was never allowed or
    the login cannot be read, and DependencyError (exit 4) if nobody answers there, or refuses
    the login.
    """
    if importlib.util.find_spec("prefect") is None:
        raise SettingsError(
            "Prefect is not installed here",
            hint="Run `make platform`, or leave out --prefect and PREFECT_API_URL.",
        )
    require_server(settings)
    os.environ.update(client_variables(settings))
    os.environ.setdefault("PREFECT_HOME", str(settings.annals_home / "prefect"))
    with contextlib.chdir(work_folder(settings.annals_home)):
        # Prefect reads settings files of the folder in which it is imported first.
        importlib.import_module("prefect.context")
    return settings.prefect_api


def require_server(settings: Settings) -> None:
    """Ask the server whether it lets us in; raises as :func:`reach`. Prefect is not loaded."""
    require_allowed(settings, "prefect_api_url")
    address = settings.prefect_api
    login = find_login(settings)
    try:
        PrefectApi(address, login).call("GET", "/admin/version")
    except PrefectRefusedError as error:
        raise _refused(settings, error, is_known=login is not None) from error
    except (OSError, ValueError) as error:
        raise DependencyError(
            f"the Prefect server at {shown_address(address)} does not answer: {error}",
            hint="Start it with `annals up`, or unset PREFECT_API_URL to run without it.",
            url=shown_address(address),
        ) from error


def _refused(settings: Settings, error: PrefectRefusedError, *, is_known: bool) -> DependencyError:
    address = settings.prefect_api
    if error.status != HTTPStatus.UNAUTHORIZED:
        return DependencyError(
            f"the Prefect server at {shown_address(address)} does not answer as one: status"
            f" {error.status}",
            hint="Correct PREFECT_API_URL; it ends with /api.",
            url=shown_address(address),
        )
    place = "PREFECT_LOGIN" if settings.prefect_login else str(login_file(settings))
    return DependencyError(
        f"the Prefect server at {shown_address(address)} refuses the login"
        + (f" of {place}" if is_known else ": there is none to give"),
        hint="Set PREFECT_LOGIN=USER:PASSWORD to the login that server was started with; for our"
        " own server run `annals down` and `annals up`.",
        url=shown_address(address),
    )
