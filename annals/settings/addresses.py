"""Places that data can be sent to, read from the addresses in settings.

What a library connects to is what has to be judged. So an address that two programs may read
differently (two ``@``, a backslash, white space) is not an address here.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
import socket
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, unquote, urlsplit

_PORTS = {"mongodb": 27017, "http": 80, "https": 443, "postgresql": 5432, "mysql": 3306}
_HOSTS_ELSEWHERE = ("service", "servicefile", "odbc_connect", "dsn", "read_default_file")
"""Options of database drivers that lead to a host which the address itself does not name."""

_AUTHORITY = re.compile(
    r"(?:[^@\\\s]*@)?(?P<host>\[[^\[\]@\\\s]+\]|[^\[\]@:\\\s]+)(?::(?P<port>[0-9]*))?"
)
_NAME = re.compile(r"[a-z0-9_]([a-z0-9._-]*[a-z0-9_-])?")
_NUMBERS = re.compile(r"[0-9a-fx.]+")
_UNSAFE = re.compile(r"[\x00-\x20\x7f\\]")
_LAST_PORT = 65_535


@dataclass(frozen=True, slots=True)
class Destination:
    """A host, as the network looks it up, its port, and the name of a database there.

    Without ``port`` or ``name`` every one is meant. ``is_service``: the name stands for hosts that
    only the domain name system knows (``mongodb+srv``).
    """

    host: str
    port: int | None = None
    name: str = ""
    is_service: bool = False

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = f":{self.port}" if self.port is not None else ""
        return f"{host}{port}{f'/{self.name}' if self.name else ''}"

    @property
    def is_loopback(self) -> bool:
        """Whether data for it stays on this machine: 127.0.0.0/8, ::1, or ``localhost``.

        Other names are never believed: what they resolve to may change until the connection.
        """
        if self.is_service:
            return False
        if self.host == "localhost":
            return _resolves_to_loopback(self.host)
        address = _ip_address(self.host)
        return address is not None and _is_loopback(address)

    def is_covered_by(self, rule: Destination) -> bool:
        """Whether ``rule``, an entry of a list of allowed places, means this one."""
        return (
            _comparable(self.host) == _comparable(rule.host)
            and rule.port in (None, self.port)
            and rule.name in ("", self.name)
        )


def parse_destination(text: str) -> Destination:
    """Return the place that HOST[:PORT][/NAME] means.

    Raises ValueError, which does not quote the text: it may be an address with a password.
    """
    place, _, name = text.strip().partition("/")
    if "@" in text or "//" in text or _UNSAFE.search(text.strip()):
        raise ValueError("is not HOST[:PORT][/NAME]; write no scheme, user or password")
    return _destination(place, name, default=None)


def parse_destinations(text: str) -> tuple[Destination, ...]:
    """Return the places of a list with commas between them; raises as the single one does."""
    return tuple(parse_destination(part) for part in text.split(",") if part.strip())


def mongo_destinations(uri: str, database: str) -> tuple[Destination, ...]:
    """Return every host that a MongoDB URI names; a local socket is none.

    Raises ValueError, without the URI in it, where hosts cannot be told.
    """
    scheme, separator, rest = uri.partition("://")
    if scheme not in ("mongodb", "mongodb+srv") or not separator:
        raise ValueError("is not a MongoDB URI")
    hosts = rest.partition("?")[0].partition("/")[0].rpartition("@")[2]
    is_service = scheme == "mongodb+srv"
    default = None if is_service else _PORTS["mongodb"]
    return tuple(
        replace(_destination(host, database, default=default), is_service=is_service)
        for host in hosts.split(",")
        if not (host.endswith(".sock") and unquote(host).startswith("/"))
    )


def web_destination(url: str) -> Destination:
    """Return the host that a web address names; raises ValueError, without the address in it."""
    _require_plain_authority(url)
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        raise ValueError("is not a web address")
    return _destination(parts.netloc, "", default=_PORTS[parts.scheme])


def database_destinations(uri: str) -> tuple[Destination, ...]:
    """Return the hosts that the address of an SQL database names; none for a file."""
    scheme = uri.partition("://")[0].partition("+")[0].lower()
    if scheme == "sqlite":
        return ()
    _require_plain_authority(uri)
    parts = urlsplit(uri)
    name, default = parts.path.strip("/"), _PORTS.get(scheme)
    options = parse_qsl(parts.query)
    if any(key.lower() in _HOSTS_ELSEWHERE for key, _ in options):
        raise ValueError("names its host in a place that is not part of the address")
    asked = [value for key, value in options if key in ("host", "hostaddr")]
    hosts = [*(one for value in asked for one in value.split(",")), parts.netloc]
    return tuple(
        _destination(host, name, default=default)
        for host in hosts
        if host.rpartition("@")[2] and not host.startswith("/")
    )


def _require_plain_authority(address: str) -> None:
    """Raise ValueError for signs before the path that libraries drop, or read each in its way."""
    scheme, _, rest = address.partition("://")
    if _UNSAFE.search(scheme + re.split("[/?#]", rest, maxsplit=1)[0]):
        raise ValueError("is not an address: its host has white space or a backslash in it")


def _destination(authority: str, name: str, *, default: int | None) -> Destination:
    found = _AUTHORITY.fullmatch(authority)
    if found is None:
        raise ValueError("names no host that can be told")
    port = int(found["port"]) if found["port"] else default
    if port is not None and not 0 < port <= _LAST_PORT:
        raise ValueError("names a port that does not exist")
    return Destination(_host(found["host"]), port, name)


def _host(text: str) -> str:
    if text.startswith("["):
        address = text[1:-1].replace("%25", "%")
        with contextlib.suppress(ValueError):
            return str(ipaddress.IPv6Address(address))
        raise ValueError("names no host that can be told")
    host = text.lower().removesuffix(".")
    if host != text.lower():
        if host == "localhost":  # a name server is asked for it, and may answer anything
            return f"{host}."
        if _ip_address(host):
            raise ValueError("is an address with a dot at its end, which is looked up as a name")
    with contextlib.suppress(UnicodeError):
        host = host.encode("idna").decode("ascii").lower()
    if not _NAME.fullmatch(host):
        raise ValueError("names no host that can be told")
    return host


def _comparable(host: str) -> str:
    return str(_ip_address(host) or host)


def _ip_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the address that a host is, short and other forms of numbers included."""
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host)
    if _NUMBERS.fullmatch(host):
        with contextlib.suppress(OSError):
            return ipaddress.IPv4Address(socket.inet_aton(host))
    return None


def _is_loopback(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def _resolves_to_loopback(name: str) -> bool:
    """Return whether a name means this machine; one that nobody knows leads nowhere."""
    try:
        found = socket.getaddrinfo(name, None)
    except OSError:
        return True
    addresses = {str(place[0]).partition("%")[0] for *_, place in found}
    return all(_is_loopback(ipaddress.ip_address(one)) for one in addresses)
