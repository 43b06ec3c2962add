"""The console script ``annals``: it finds our packages before those that PYTHONPATH names.

Python puts the folders of PYTHONPATH before the installed packages. Another program's package
``analytics`` there would be imported in the place of ours; one called ``annals`` is not expected.
"""

from __future__ import annotations

import importlib
import sys

_DISK_FULL = 10


def main() -> None:
    """Run the command line; the process ends with the command's exit code."""
    print_status_line()
    from annals.process.environments import prefer_own_packages  # noqa: PLC0415 -- slow to import

    prefer_own_packages()
    importlib.import_module("analytics.cli.__main__").main()


def print_status_line() -> None:
    """Print the line of ``annals statusline`` and leave, if that is what was called.

    It has 60 ms as a whole process, so nothing else is imported.
    """
    if sys.argv[1:2] == ["statusline"] and not {"-h", "--help"}.intersection(sys.argv):
        from annals.process.streams import (  # noqa: PLC0415 -- for this command alone
            leave_output,
            prepare_streams,
        )
        from annals.statusline import print_status  # noqa: PLC0415 -- for this command alone

        prepare_streams()
        try:
            code = print_status(sys.argv[2:])
        except BrokenPipeError:
            code = leave_output()
        except OSError as error:
            sys.stderr.write(f"error: standard output takes no line: {error.strerror}\n")
            code = leave_output(_DISK_FULL)
        sys.exit(code)
