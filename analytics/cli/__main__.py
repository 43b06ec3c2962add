"""``python -m analytics.cli``, and the console script ``annals``."""

from __future__ import annotations

import contextlib
import gc
import os
import sys

_OBJECTS_BETWEEN_COLLECTIONS = 50_000


def main() -> None:
    """Run the command line and leave the process with the command's exit code.

    The rest is about start and end, which are most of a light command: importing makes many
    objects and no garbage, looking for plugins of pydantic means reading the metadata of every
    installed package, and at the end the collector would look at everything once more.
    """
    from annals.start import print_status_line

    print_status_line()
    from annals.files import set_umask

    set_umask()  # before anything is written, whatever it was started with
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS, 20, 20)
    from annals.process.environments import prepare_environment
    from annals.process.streams import prepare_streams

    prepare_streams()
    prepare_environment()
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    from analytics.cli.app import INTERRUPTED, run

    code = run(sys.argv[1:])
    gc.freeze()
    if code == INTERRUPTED or sys.flags.inspect:
        _leave_at_once(code)
    sys.exit(code)


def _leave_at_once(code: int) -> None:
    """End a command with its exit code, although Python would go on.

    With PYTHONINSPECT it would show the exit as an error and read commands from standard input. It
    remembers a Ctrl-C that came in the midst of code made from text, as in the making of a
    data class, and at its own end would die of the signal although the command has answered it.
    """
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
