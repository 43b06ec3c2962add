"""``python -m analytics.cli``, and the console script ``annals``."""

from __future__ import annotations

import gc
import os
import sys

_OBJECTS_BETWEEN_COLLECTIONS = 50_000


def main() -> None:
    """Run the command line and leave the process with the command's exit code.

    Both settings are about start-up: importing makes many objects and no garbage, and looking for
    plugins of pydantic means reading the metadata of every installed package.
    """
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS, 20, 20)
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    from analytics.cli.app import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
