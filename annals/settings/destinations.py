"""Where data may be sent: a place off this machine is allowed, never assumed.

:func:`require_allowed` is called wherever a connection to a place that a setting names is opened.
A place is allowed if it is on this machine, if a flag or the settings file names it, if
ALLOW_DESTINATIONS or ``allowed.json`` lists it (docs/adr/0025-destinations.md).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import SecretStr

from annals.errors import AnalyticsError, SettingsError
from annals.process.environments import use_proxy
from annals.settings.addresses import (
    Destination,
    database_destinations,
    mongo_destinations,
    parse_destination,
    parse_destinations,
    web_destination,
)
from annals.settings.allowed import add_allowed, allowed_places
from annals.settings.dotenv import settings_values
from annals.settings.files import settings_file
from annals.settings.model import Settings

KINDS = {
    "mongo_uri": "MongoDB",
    "iceberg_catalog_uri": "Iceberg catalog",
    "s3_endpoint": "object store",
    "notify_url": "notifications",
    "prefect_api_url": "Prefect server",
    "outbound_proxy": "proxy",
}
"""What a setting that names a place off this machine is for."""

LAKE = ("iceberg_catalog_uri", "s3_endpoint")
STORE_VARIABLES = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3")
"""Variables that the libraries of object stores heed where S3_ENDPOINT is not set."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """Whether data may go to the place that a setting names.

    ``allowed_by`` says what allows it: ``loopback``, ``flag``, ``settings file``,
    ``ALLOW_DESTINATIONS`` or ``allowed.json``; None where nothing does.
    """

    setting: str
    kind: str
    destination: Destination
    allowed_by: str | None


def judge(settings: Settings, name: str) -> tuple[Judgement, ...]:
    """Return a judgement of every place that one setting names; none where it is not in use.

    Raises SettingsError (exit 3) where it cannot be told which places those are.
    """
    try:
        places = tuple(_places(settings, name))
    except ValueError as error:
        raise SettingsError(
            f"{name.upper()} cannot be used: it {error}",
            hint=f"Correct {name.upper()}; `annals config show --origin` says where it is set.",
        ) from None
    return tuple(
        Judgement(name.upper(), KINDS[name], place, _reason(settings, name, place))
        for place in places
    )


def judge_all(settings: Settings) -> tuple[Judgement, ...]:
    """Return a judgement of every place that any setting names."""
    return tuple(found for name in KINDS for found in judge(settings, name))


def require_allowed(settings: Settings, *names: str) -> None:
    """Raise SettingsError (exit 3) naming the first place of these settings that is not allowed."""
    for name in names:
        for found in judge(settings, name):
            if found.allowed_by is None:
                raise refusal(found)
    apply_proxy(settings)


def apply_proxy(settings: Settings) -> None:
    """Let the lake and notifications off this machine go by way of OUTBOUND_PROXY, if it is set.

    Raises SettingsError (exit 3) if the proxy was never allowed. A name without a dot, such as a
    service of the stack, and Prefect are asked directly.
    """
    if settings.outbound_proxy is None:
        return
    direct = []
    for name in KINDS:
        with contextlib.suppress(SettingsError):  # raised where that setting itself is used
            direct += [one.destination for one in judge(settings, name)]
    (proxy,) = judge(settings, "outbound_proxy")
    if proxy.allowed_by is None:
        raise refusal(proxy)
    hosts = [one.host for one in direct if one.is_loopback or "." not in one.host]
    hosts.append(urlsplit(settings.prefect_api).hostname or "")
    use_proxy(settings.outbound_proxy.get_secret_value(), hosts)


def require_allowed_addresses(settings: Settings, *addresses: str) -> None:
    """Judge web addresses of the lake that a library found elsewhere than in settings."""
    for address in addresses:
        try:
            place = web_destination(address)
        except ValueError as error:
            raise SettingsError(
                f"an address of the lake cannot be used: it {error}",
                hint="Correct the properties of the catalog (PYICEBERG_CATALOG__...).",
            ) from None
        reasons = (_reason(settings, name, place) for name in LAKE)
        if not any(reasons) and not _is_named(settings, place):
            raise refusal(Judgement("the environment", "lake", place, None))


def is_named_for_annals(settings: Settings, name: str) -> bool:
    """Return whether more than the environment says that a setting is meant for this program."""
    return all(found.allowed_by not in (None, "loopback") for found in judge(settings, name)) or (
        name in settings.flags or name in settings_values(settings_file())
    )


def refusal(found: Judgement, records: str = "") -> SettingsError:
    """Return the error for a place that nothing allows; ``records`` says what would go there."""
    place = found.destination
    where = f"{place.host}{f':{place.port}' if place.port else ''}"
    database = f", database {place.name}" if place.name else ""
    return SettingsError(
        f"{found.setting} names {where}{database} ({found.kind}), which was never allowed"
        f"{records}; nothing was sent",
        hint=f"If data is to go there, run `annals sync allow {place}`; if not, unset"
        f" {found.setting}.",
        destination=str(place),
        setting=found.setting,
    )


def passed_on(settings: Settings) -> str:
    """Return ALLOW_DESTINATIONS for a process that gets our settings by its environment.

    What our flags name is added: there it comes from the environment.
    """
    return named_places(settings, [name for name in KINDS if name in settings.flags])


def named_places(settings: Settings, names: Iterable[str] = tuple(KINDS)) -> str:
    """Return ALLOW_DESTINATIONS with the places that these settings name, all of them allowed."""
    found = [
        str(one.destination)
        for name in names
        for one in judge(settings, name)
        if one.allowed_by not in (None, "loopback")
    ]
    listed = (one.strip() for one in settings.allow_destinations.split(","))
    return ",".join(dict.fromkeys([*filter(None, listed), *found]))


def note_used(settings: Settings, name: str) -> None:
    """Note in ``allowed.json`` that the places of a setting took records: they stay allowed."""
    with contextlib.suppress(AnalyticsError):  # a note that cannot be made stops no shipping
        for found in judge(settings, name):
            if found.allowed_by not in (None, "loopback", "allowed.json"):
                add_allowed(settings, found.destination, "acknowledged")


def _places(settings: Settings, name: str) -> Iterator[Destination]:
    """Yield the places that a setting names; raises ValueError where they cannot be told."""
    if name == "notify_url" and settings.notify_with == "none":
        return
    given = _plain(getattr(settings, name))
    if name == "mongo_uri" and given:
        yield from mongo_destinations(given, settings.mongo_db)
    elif name == "iceberg_catalog_uri" and given and settings.iceberg_catalog_type == "sql":
        yield from database_destinations(given)
    elif name == "s3_endpoint":
        if settings.iceberg_catalog_type == "rest":
            found = [given] if given else [os.environ.get(one, "") for one in STORE_VARIABLES]
            yield from (web_destination(address) for address in found if address)
    elif given:
        yield web_destination(given)


def _reason(settings: Settings, name: str, place: Destination) -> str | None:
    """Return what allows a place; the cheap reasons first."""
    if place.is_loopback:
        return "loopback"
    if name in settings.flags:
        return "flag"
    if _is_named(settings, place):
        return "settings file"
    if any(place.is_covered_by(rule) for rule in parse_destinations(settings.allow_destinations)):
        return "ALLOW_DESTINATIONS"
    noted = (parse_destination(entry.destination) for entry in allowed_places(settings))
    return "allowed.json" if any(place.is_covered_by(rule) for rule in noted) else None


def _is_named(settings: Settings, place: Destination) -> bool:
    """Return whether a file of settings names this host and port, beside other sources."""
    rule = Destination(place.host, place.port)
    return any(named.is_covered_by(rule) for named in _trusted(settings))


def _trusted(settings: Settings) -> Iterator[Destination]:
    for values in _trusted_values():
        given = {name: values[name] for name in ("mongo_uri", *LAKE[:1]) if name in values}
        with contextlib.suppress(ValueError):
            yield from mongo_destinations(given.get("mongo_uri", ""), settings.mongo_db)
        with contextlib.suppress(ValueError):
            yield from database_destinations(given.get("iceberg_catalog_uri", "sqlite://"))
        for name in (*LAKE, "notify_url", "prefect_api_url", "outbound_proxy"):
            with contextlib.suppress(ValueError):
                yield web_destination(values.get(name, ""))


def _trusted_values() -> Iterator[dict[str, str]]:
    """Yield what the settings file says, and the one that `annals sync install` wrote."""
    yield settings_values(settings_file())
    with contextlib.suppress(RuntimeError, SettingsError):
        installed = Path.home() / ".config" / "annals" / "sync.env"
        yield settings_values(installed)


def _plain(value: object) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value or "")
