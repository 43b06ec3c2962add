"""Decide which requests a service of ours answers: those for a name of ours, from a page of ours.

A service on the loopback address is reached by every web page that is open in a browser of this
machine. A page shows itself by what the browser sends along and the page cannot change: ``Host``
names the site whose address was made to lead here (DNS rebinding), ``Origin`` and
``Sec-Fetch-Site`` name the page that asks. Programs send no ``Origin``, and their own ``Host``.

Standard library only: the agent uses it, and so does every program that opens a port.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Collection, Iterable, MutableMapping
from ipaddress import IPv6Address, ip_address
from typing import Any, NamedTuple

STATUS = 403
"""The status of every refusal."""

SERVICE_NAMES = frozenset(
    {
        *("sync-agent", "prefect-server", "dbt-docs", "metabase", "prometheus", "grafana"),
        *("pipeline-metrics", "object-store", "rest-catalog", "mongodb", "host.docker.internal"),
    }
)
"""How services of docker-compose.yml call each other."""

_HOST = re.compile(
    r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?\.?)(?::(?P<port>\d{1,5}))?"
)
_DEFAULT_PORTS = {"http": 80, "https": 443}
_LARGEST_PORT = 65_535
_READS = ("GET", "HEAD")
_FRAMES = ("iframe", "frame", "embed", "object", "fencedframe")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class Place(NamedTuple):
    """A host without brackets, in small letters, and its port; None where none is named."""

    name: str
    port: int | None


def parse_host(text: str) -> Place | None:
    """Return what a ``Host`` header names, or None where it is not a host and a port alone."""
    found = _HOST.fullmatch(text.lower())
    if found is None:
        return None
    name, port = found["name"], int(found["port"]) if found["port"] else None
    if port is not None and port > _LARGEST_PORT:
        return None
    if name.startswith("["):
        address = _address(name[1:-1])
        return Place(str(address), port) if address else None
    # One dot at the end is the same name; an address has no such form.
    bare = name.removesuffix(".")
    if bare != name and _address(bare):
        return None
    return Place(bare, port)


def is_loopback(name: str) -> bool:
    """Return whether the name always means this machine, whatever a name server says."""
    if name == "localhost":
        return True
    address = _address(name)
    if address is None:
        return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


def parse_names(text: str) -> frozenset[str]:
    """Return the names of a setting with commas between them.

    Raises ValueError that names what is not a host name.
    """
    names = set()
    for part in filter(None, (part.strip() for part in text.split(","))):
        place = parse_host(f"[{part}]" if part.count(":") > 1 and "[" not in part else part)
        if place is None or place.port is not None:
            raise ValueError(f"{part!r} is not a host name (example: annals.example.com)")
        names.add(place.name)
    return frozenset(names)


def refusal(
    headers: Iterable[tuple[str, str]], *, method: str = "GET", hosts: Collection[str] = ()
) -> str | None:
    """Return why a request with these headers is refused, or None where it is answered.

    ``hosts`` are names allowed beside those of the loopback address and of our own services.
    """
    found: dict[str, list[str]] = {}
    for name, value in headers:
        found.setdefault(name.lower(), []).append(value.strip())
    sites = found.get("host", [])
    if len(sites) != 1:
        return f"{len(sites)} Host headers instead of one"
    site = parse_host(sites[0])
    if site is None or not _is_ours(site.name, hosts):
        return f"Host {sites[0][:80]!r} is not a name of this service"
    if origins := found.get("origin"):
        return _foreign_origin(origins, site, hosts)
    return _foreign_page({name: values[-1] for name, values in found.items()}, method)


def _foreign_origin(origins: list[str], site: Place, hosts: Collection[str]) -> str | None:
    """Return why the page at ``Origin`` may not ask: another host, or another port of ours."""
    refused = f"Origin {origins[0][:80]!r} is not a page of this service"
    scheme, _, rest = origins[0].partition("://")
    page = parse_host(rest)
    if len(origins) != 1 or scheme not in _DEFAULT_PORTS or page is None:
        return refused
    if not _is_ours(page.name, hosts):
        return refused
    default = _DEFAULT_PORTS[scheme]
    is_same_port = (page.port or default) == (site.port or default)
    is_same_host = page.name == site.name or (is_loopback(page.name) and is_loopback(site.name))
    return None if is_same_port and is_same_host else refused


def _foreign_page(fields: dict[str, str], method: str) -> str | None:
    """Return why a request without ``Origin`` may not be made by the page that made it.

    A person may follow a link from anywhere; a page may embed nothing of ours.
    """
    if fields.get("sec-fetch-site", "none") in ("none", "same-origin"):
        return None
    is_link = fields.get("sec-fetch-mode") == "navigate" and method in _READS
    if is_link and fields.get("sec-fetch-dest") not in _FRAMES:
        return None
    return "a page of another site asks"


def _is_ours(name: str, hosts: Collection[str]) -> bool:
    return is_loopback(name) or name in SERVICE_NAMES or name in hosts


def _address(text: str) -> Any:
    try:
        return ip_address(text)
    except ValueError:
        return None


def refusal_body(why: str) -> bytes:
    """Return the body of a refusal, as JSON."""
    hint = "Use the address that `annals status` shows, or add the name to ALLOWED_HOSTS."
    return json.dumps({"error": f"refused: {why}", "hint": hint}).encode()


def bound_names(address: str, allowed: str) -> frozenset[str]:
    """Return the names of a service that is bound to an address, with those of ALLOWED_HOSTS."""
    place = parse_host(f"[{address}]" if ":" in address else address)
    is_every = place is None or place.name in ("0.0.0.0", "::")  # noqa: S104 -- compared, not bound
    return parse_names(allowed) | (frozenset() if is_every or place is None else {place.name})


class GuardedApplication:
    """An ASGI application that answers only what :func:`refusal` lets through."""

    def __init__(self, application: Application, *, hosts: Collection[str] = ()) -> None:
        self._application = application
        self._hosts = frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request or WebSocket; what is neither (the life span) passes."""
        if scope["type"] not in ("http", "websocket"):
            await self._application(scope, receive, send)
            return
        headers = [
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]
        ]
        why = refusal(headers, method=scope.get("method", "GET"), hosts=self._hosts)
        if why is None:
            await self._application(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": "refused"})
        else:
            body = refusal_body(why)
            fields = [
                (b"content-type", b"application/json"),
                (b"content-length", b"%d" % len(body)),
            ]
            await send({"type": "http.response.start", "status": STATUS, "headers": fields})
            await send({"type": "http.response.body", "body": body})
