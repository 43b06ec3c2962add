"""``annals statusline``: one line for the status bar of Claude Code.

It runs after every answer, so it may take 60 ms as a whole process: this module imports nothing
that is slow to import, and reads no settings class and no database, but the file that each publish
writes (:mod:`reports.status_file`). Whatever is wrong with its input, it prints a line.
"""

from __future__ import annotations

import json
import os
import sys
import time

from annals.text import one_line

_INPUT_BYTES = 1024 * 1024
_NANO = 1_000_000_000
_SILENCE_SECONDS = 5 * 3600
_LARGEST = 2**63 - 1
_WANTED = ("PUBLISH_PATH", "ANNALS_HOME")
_USAGE = "Usage: annals statusline [--file FILE] < JSON of Claude Code"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


def print_status(arguments: Sequence[str]) -> int:
    """Print the line; return the exit code, which is 0 unless the arguments are wrong.

    Raises OSError if standard output takes no line.
    """
    if arguments and (len(arguments) != 2 or arguments[0] != "--file"):  # noqa: PLR2004
        sys.stderr.write(f"error: {one_line(' '.join(arguments))}\nhint: {_USAGE}\n")
        return 2
    path = arguments[1] if arguments else _status_file()
    sys.stdout.write(one_line(status_line(_input(), _read_json(path), time.time())) + "\n")
    sys.stdout.flush()
    return 0


def status_line(session: dict[str, Any], figures: dict[str, Any], now: float) -> str:
    """Return the line from what Claude Code says of its session, and the figures of the build."""
    parts = [_text(_member(session, "model", "display_name"))]
    cost = _member(session, "cost", "total_cost_usd")
    if isinstance(cost, int | float) and not isinstance(cost, bool) and 0 <= cost < _NANO:
        parts.append(f"{_usd(round(cost * _NANO))} session")
    days = figures.get("days")
    if not isinstance(days, dict):
        parts.append("annals: no figures yet, run annals pipeline")
        return " | ".join(filter(None, parts))
    day = _day(now, figures.get("timezone"))
    parts.append(f"{_usd(_whole(days.get(day)))} today")
    month = sum(_whole(value) for name, value in days.items() if name[:7] == day[:7])
    parts.append(f"{_usd(month)} month")
    parts.append(_block(figures.get("block"), now))
    return " | ".join(filter(None, parts))


def _block(block: Any, now: float) -> str:
    """Return the active five-hour block, or nothing."""
    if not isinstance(block, dict):
        return ""
    end, last = _whole(block.get("end")), _whole(block.get("last"))
    if now >= end or now - last >= _SILENCE_SECONDS:
        return ""
    hours, minutes = divmod(int(end - now) // 60, 60)
    return f"{_usd(_whole(block.get('cost_nano_usd')))} block, {hours}h {minutes:02d}m left"


def _usd(nano_usd: int) -> str:
    cents = (nano_usd + _NANO // 200) // (_NANO // 100)
    return f"${cents // 100:,}.{cents % 100:02d}"


def _whole(value: Any) -> int:
    return value if isinstance(value, int) and abs(value) <= _LARGEST else 0


def _text(value: Any) -> str:
    return value[:60] if isinstance(value, str) else ""


def _member(content: dict[str, Any], outer: str, inner: str) -> Any:
    found = content.get(outer)
    return found.get(inner) if isinstance(found, dict) else None


def _day(now: float, timezone: Any) -> str:
    """Return the day in the zone of the build, as the C library knows it."""
    if isinstance(timezone, str) and _is_zone_name(timezone):
        os.environ["TZ"] = timezone
        time.tzset()
    return time.strftime("%Y-%m-%d", time.localtime(now))


def _is_zone_name(text: str) -> bool:
    """Return whether this is the name of a zone; the C library opens a path, whatever is there."""
    return text.isascii() and text.isprintable() and text[:1].isalpha() and ".." not in text


def _input() -> dict[str, Any]:
    if sys.stdin is None or sys.stdin.isatty():
        return {}
    try:
        return _object(sys.stdin.buffer.read(_INPUT_BYTES))
    except OSError:
        return {}


def _read_json(path: str) -> dict[str, Any]:
    return _object(_read_bytes(path, os.O_NOFOLLOW))


def _read_bytes(path: str, flags: int = 0) -> bytes:
    """Return the beginning of a file; nothing for one that cannot be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | flags)
    except (OSError, ValueError):
        return b""
    try:
        return os.read(descriptor, _INPUT_BYTES)
    except OSError:
        return b""
    finally:
        os.close(descriptor)


def _object(text: bytes) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _status_file() -> str:
    """Return where the file is: as PUBLISH_PATH or ANNALS_HOME say, in variables or settings."""
    named = {name: os.environ[name] for name in _WANTED if os.environ.get(name)}
    named = {**_named_in_settings(), **named}
    home = os.path.expanduser(named.get("ANNALS_HOME", "~/.annals"))
    folder = os.path.expanduser(named.get("PUBLISH_PATH", f"{home}/published"))
    return f"{folder}/statusline.json"


def _named_in_settings() -> dict[str, str]:
    """Return these two settings from the settings file, the first one that exists."""
    program = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    own = os.environ.get("ANNALS_ENV_FILE")
    files = [own] if own else [f"{program}/.env", os.path.expanduser("~/.config/annals/annals.env")]
    path = next((one for one in files if os.path.isfile(one)), "")
    named = {}
    for line in _read_bytes(path).decode("utf-8", "replace").splitlines():
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        if equals and name.strip() in _WANTED and value.strip():
            value = os.path.expanduser(value.strip().strip("'\""))
            named[name.strip()] = os.path.join(os.path.dirname(path), value)
    return named
