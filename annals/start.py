"""The console script ``annals``: it finds our packages before those that PYTHONPATH names.

Python puts the folders of PYTHONPATH before the installed packages. Another program's package
``analytics`` there would be imported in the place of ours; one called ``annals`` is not expected.
"""

from __future__ import annotations

import importlib

from annals.process.environments import prefer_own_packages


def main() -> None:
    """Run the command line; the process ends with the command's exit code."""
    prefer_own_packages()
    importlib.import_module("analytics.cli.__main__").main()
