"""Which file the settings are read from, and reading it without trusting what lies there.

The first of these counts, and no other is read: ``--env-file`` or ``ANNALS_ENV_FILE``, ``.env`` of
the checkout that this program runs from, ``~/.config/annals/annals.env``. The working folder is
never searched: a folder of other work must not decide where conversations go.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from annals.errors import SettingsError
from annals.resources import ROOT

VARIABLE = "ANNALS_ENV_FILE"
OPTION = "--env-file"
MAX_BYTES = 1024 * 1024
"""Settings files above this size are refused; the example with every setting has 10 kB."""

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def checkout_folder() -> Path | None:
    """Return the checkout that this program runs from, None for an installed package."""
    parts = ("pyproject.toml", "Makefile", "analytics")
    return ROOT if all((ROOT / name).exists() for name in parts) else None


def settings_file(checkout: Path | None = None) -> Path | None:
    """Return the file that settings are read from, None where there is none.

    ``checkout`` stands for the checkout that this program runs from. Raises SettingsError (exit 3)
    where ANNALS_ENV_FILE names a file that does not exist.
    """
    return next(iter(settings_files(checkout)), None)


def settings_files(checkout: Path | None = None) -> list[Path]:
    """Return the settings files that exist, first the one in use; none where none is to be read."""
    found: list[Path] = []
    if named := os.environ.get(VARIABLE, ""):
        if (path := _named_file(named)) is None:
            return []
        found.append(path)
    places = (checkout or checkout_folder(), ".env"), (_home(), ".config/annals/annals.env")
    there = [folder / name for folder, name in places if folder and os.path.lexists(folder / name)]
    return [*found, *(path for path in there if path not in found)]


def use_settings_file(name: str) -> None:
    """Read settings from this file, in this process and in those that it starts."""
    os.environ[VARIABLE] = str(at_home(Path(name)).absolute())


def take_file_option(arguments: list[str]) -> list[str]:
    """Heed ``--env-file FILE`` among a program's arguments, and return the others."""
    rest: list[str] = []
    words = iter(arguments)
    for word in words:
        name, equals, value = word.partition("=")
        if name != OPTION:
            rest.append(word)
            continue
        given = value if equals else next(words, "")
        if not given:
            raise SettingsError(f"{OPTION} needs a file", hint=f"Write {OPTION} FILE.")
        use_settings_file(given)
    return rest


def shown_path(path: Path) -> str:
    """Return a path for people, with ``~`` for the home folder."""
    home = _home()
    return f"~/{path.relative_to(home)}" if home and path.is_relative_to(home) else str(path)


def read_settings_text(path: Path) -> str:
    """Return the text of a settings file; a link is followed, its target is judged.

    Raises SettingsError (exit 3) for anything but a regular file of UTF-8 text of a size that can
    be right, and for one that other users of this machine can change.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError as error:
        if os.path.exists(path) and not os.access(path, os.R_OK):  # noqa: PTH110 - raises nothing
            raise _refusal(
                path, "cannot be read", f"Run `chmod u+r {path}` as its owner"
            ) from error
        raise _refusal(path, f"cannot be read: {error.strerror}", "Correct its name") from error
    try:
        _require_trusted(path, os.fstat(descriptor))
        with open(descriptor, "rb", closefd=False) as file:
            content = file.read(MAX_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(content) > MAX_BYTES:
        raise _too_large(path, len(content))
    return _decoded(path, content)


def _named_file(named: str) -> Path | None:
    """Return the file that ANNALS_ENV_FILE names; None for the null device, which means no file."""
    path = at_home(Path(named))
    if not path.is_absolute():
        raise SettingsError(
            f"{VARIABLE} is {named!r}, which depends on the working folder",
            hint=f"Set {VARIABLE} to an absolute path.",
        )
    if str(path) == os.devnull:
        return None
    if not os.path.lexists(path):
        raise SettingsError(
            f"the settings file {path} does not exist",
            hint=f"Correct {OPTION} or {VARIABLE}; {os.devnull} means no file.",
            path=path,
        )
    return path


def at_home(path: Path) -> Path:
    """Return a path that the command line or a variable names, with ``~`` for the home folder.

    Raises SettingsError (exit 3) for the home folder of a user who is unknown here.
    """
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise SettingsError(
            f"{str(path)!r} names the home folder of a user who is unknown here",
            hint="Write the path in full, beginning with /.",
            path=path,
        ) from error


def _home() -> Path | None:
    try:
        return Path.home()
    except RuntimeError:  # no HOME, and the user has no entry in the system's list of users
        return None


def _require_trusted(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        kind = next((name for is_kind, name in _KINDS if is_kind(found.st_mode)), "no file")
        raise _refusal(path, f"is {kind}, not a regular file", "Remove it or name another file")
    if found.st_size > MAX_BYTES:
        raise _too_large(path, found.st_size)
    if found.st_mode & stat.S_IWOTH:
        raise _refusal(path, "can be changed by every user", f"Run `chmod o-w {path}`")
    if found.st_uid not in _trusted_owners() and str(path) != os.environ.get(VARIABLE):
        owner = f"belongs to another user (uid {found.st_uid})"
        raise _refusal(path, owner, f"Check its content, then name it with {OPTION}")


def _trusted_owners() -> set[int]:
    """Return whose files may set anything: this user's, root's and the program owner's."""
    owners = {os.geteuid(), 0, ROOT.stat().st_uid}
    sudo = os.environ.get("SUDO_UID", "")
    return owners | ({int(sudo)} if os.geteuid() == 0 and sudo.isdecimal() else set())


def _decoded(path: Path, content: bytes) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in content:
        raise _refusal(path, "is not UTF-8 text (UTF-16?)", "Save the file as UTF-8", line=1)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise SettingsError(
            f"{path.name} line {line} is not UTF-8 text",
            hint="Save the file as UTF-8.",
            path=path,
            line=line,
        ) from error


def _too_large(path: Path, size: int) -> SettingsError:
    return _refusal(
        path, f"has {size:,} bytes, more than {MAX_BYTES:,}", "Name a file of NAME=VALUE lines"
    )


def _refusal(path: Path, why: str, remedy: str, **context: object) -> SettingsError:
    hint = f"{remedy}; `{OPTION} {os.devnull}` reads no settings file."
    return SettingsError(f"the settings file {path} {why}", hint=hint, path=path, **context)
