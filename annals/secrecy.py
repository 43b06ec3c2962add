"""What must never be shown: the secrets of this process, and everything secret in an address.

Settings register their secrets here when they are read; every error of the tree, every log record
and every unexpected error is cleaned of them. Standard library alone: the error tree uses it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus, unquote, unquote_plus

if TYPE_CHECKING:
    import logging

HIDDEN = "***"

SHORTEST_SECRET = 6
"""Shorter values are not looked for in text: they would hide words that are not secrets."""

_SHOWN_PATHS = frozenset({"", "/", "/api"})
_HOST = r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]+)?"
_HOSTS = re.compile(rf"{_HOST}(?:,{_HOST})*")
_ADDRESS = re.compile(r"\b([A-Za-z][A-Za-z0-9+.-]*)://([^\s'\"<>`]*)")
_ESCAPE = re.compile("%[0-9A-F]{2}")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_PAIRS = re.compile("[&;#]")
_NO_SECRET = re.compile("[a-z_-]{0,15}|v?[0-9.]+|true|false")
"""What in an address is a plain word or number: hiding it would make other texts unreadable."""

_LOCAL = ("sqlite", "file")

_secrets: set[str] = set()
_has_log_filter: list[bool] = []


def shown_address(address: str) -> str:
    """Return an address for people: scheme and host, and marks for what is left out.

    User, password, path and query can all be secrets. What cannot be told apart for certain, such
    as an ``@`` behind a slash, is left out whole.
    """
    scheme, separator, rest = address.partition("://")
    if not separator or not _SCHEME.fullmatch(scheme):
        return HIDDEN if address else ""
    if scheme.partition("+")[0] in _LOCAL and rest.startswith("/"):
        return address.partition("?")[0]
    authority, mark, tail = _split(rest)
    userinfo, has_user, hosts = authority.rpartition("@")
    if "@" in tail or "@" in userinfo or not _HOSTS.fullmatch(hosts):
        return f"{scheme}://{HIDDEN}"
    path = mark + tail if mark == "/" else ""
    path, query, _ = path.partition("?") if mark == "/" else (path, mark, "")
    shown_path = path if path in _SHOWN_PATHS else f"/{HIDDEN}"
    return (
        f"{scheme}://{HIDDEN + '@' if has_user else ''}{hosts}{shown_path}"
        f"{'?' + HIDDEN if query else ''}"
    )


def link_address(address: str) -> str:
    """Return a web address that people are to follow: without user, password, query, fragment."""
    scheme, separator, rest = address.partition("://")
    authority, mark, tail = _split(rest)
    path = re.split("[?#]", tail, maxsplit=1)[0] if mark == "/" else ""
    return f"{scheme}{separator}{authority.rpartition('@')[2]}{'/' if path else ''}{path}"


def register_address(address: str) -> None:
    """Note the password, the path's secrets and the query's values of an address."""
    scheme, separator, rest = address.partition("://")
    if not separator:
        register([address])
        return
    if scheme.partition("+")[0] in _LOCAL:
        return
    userinfo, _, place = rest.rpartition("@")  # a password may hold a slash
    path, _, query = place.partition("?")
    path = path.partition("/")[2]
    user, _, password = userinfo.partition(":")
    values = [pair.partition("=")[2] or pair for pair in _PAIRS.split(query)]
    parts = [part for part in (user, *path.split("/"), *values) if not _NO_SECRET.fullmatch(part)]
    register([password, path if len(parts) > 1 and len(path) > 2 * SHORTEST_SECRET else "", *parts])


def register(secrets: Iterable[str]) -> None:
    """Note texts that are never to be shown, in each form in which an error may quote them."""
    forms = {form for secret in secrets for form in _forms(secret) if len(form) >= SHORTEST_SECRET}
    _secrets.update(forms)
    if forms and not _has_log_filter:
        _has_log_filter.append(True)
        clean_log_records(hide)


def _forms(secret: str) -> Iterator[str]:
    """Yield a secret as it is, decoded, encoded as libraries do it, and as literals quote it."""
    import json  # noqa: PLC0415 -- only where there is a secret

    for plain in {secret, unquote(secret), unquote_plus(secret)}:
        yield from (plain, plain.replace("\n", " ").replace("\t", " "))
        yield from (json.dumps(plain)[1:-1], json.dumps(plain, ensure_ascii=False)[1:-1])
        escaped = repr(plain)[1:-1]
        yield from (escaped, escaped.replace("'", "\\'"), ascii(plain)[1:-1])
        for encode, safe in ((quote, ""), (quote, "/"), (quote_plus, "")):
            encoded = encode(plain, safe=safe, errors="surrogateescape")
            yield from (encoded, _ESCAPE.sub(lambda found: found[0].lower(), encoded))


def hide(text: str) -> str:
    """Return ``text`` without registered secrets, and without user and query of any address."""
    for secret in sorted(_secrets, key=len, reverse=True):
        if secret in text:
            text = text.replace(secret, HIDDEN)
    return _ADDRESS.sub(_bare, text) if "://" in text else text


def _bare(found: re.Match[str]) -> str:
    """Return an address in a text without user and query; its path is known not to be a secret."""
    scheme, rest = found[1], found[2]
    authority, mark, tail = _split(rest)
    if "@" in tail:
        return f"{scheme}://{HIDDEN}@{rest.rpartition('@')[2].partition('?')[0]}"
    _, has_user, hosts = authority.rpartition("@")
    path, query, _ = tail.partition("?") if mark == "/" else ("", mark if mark == "?" else "", "")
    start = f"{HIDDEN}@{hosts}" if has_user else hosts
    return f"{scheme}://{start}{mark if mark == '/' else ''}{path}{'?' + HIDDEN if query else ''}"


def _split(rest: str) -> tuple[str, str, str]:
    """Return what is before the first ``/``, ``?`` or ``#``, that mark, and what follows."""
    found = re.search("[/?#]", rest)
    if found is None:
        return rest, "", ""
    return rest[: found.start()], found[0], rest[found.end() :]


def clean_log_records(clean: Callable[[str], str]) -> None:
    """Pass every record of the standard library's logging through ``clean`` from now on.

    Whichever library writes it. Filters add up: each one cleans what those before it have left.
    """
    import logging  # noqa: PLC0415 -- only where there is a secret

    make = logging.getLogRecordFactory()
    formatter = logging.Formatter()

    def make_clean(*arguments: Any, **options: Any) -> logging.LogRecord:
        record = make(*arguments, **options)
        _clean_record(record, clean, formatter)
        return record

    logging.setLogRecordFactory(make_clean)


def _clean_record(
    record: logging.LogRecord, clean: Callable[[str], str], formatter: logging.Formatter
) -> None:
    try:
        message = record.getMessage()
    except (TypeError, ValueError):  # the handler that formats it says so
        return
    cleaned = clean(message)
    if cleaned != message:
        record.msg, record.args = cleaned, ()
    if record.exc_info and record.exc_info[0] is not None:
        record.exc_text = clean(record.exc_text or formatter.formatException(record.exc_info))
