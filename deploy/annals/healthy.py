"""Does a service answer? The health check of our containers: exit code 0 if it does.

``healthy.py URL`` wants an answer below 400; ``healthy.py API --worker-of POOL --worker NAME``
wants that Prefect has heard of this worker lately, whichever others the pool has. Standard library
only: every image of ours has it.
"""

from __future__ import annotations

import argparse
import json
import sys
import urllib.request
from typing import Any

_SECONDS = 4.0
_ONLINE = "ONLINE"


def answers(url: str) -> str | None:
    """Return None where the address answers, else why not."""
    try:
        _call(url)
    except (OSError, ValueError) as error:
        return f"{url}: {error}"
    return None


def works(api: str, pool: str, name: str) -> str | None:
    """Return None where the pool's worker of that name is online, else why not."""
    asked = {"limit": 200, "workers": {"status": {"any_": [_ONLINE]}}}
    try:
        workers = json.loads(_call(f"{api}/work_pools/{pool}/workers/filter", asked))
    except (OSError, ValueError) as error:
        return f"{api}: {error}"
    online = {one["name"] for one in workers if one.get("status") == _ONLINE}
    return None if name in online else f"the worker {name} of the pool {pool} is not online"


def _call(url: str, body: dict[str, Any] | None = None) -> bytes:
    if not url.startswith(("http://", "https://")):
        raise ValueError("no address of a web server")
    request = urllib.request.Request(  # noqa: S310 -- the scheme is checked
        url,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310 -- as above
        content: bytes = answer.read()
    return content


def main() -> int:
    """Check what the arguments name; say on standard error what is wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("--worker-of", metavar="POOL")
    parser.add_argument("--worker", metavar="NAME", default="")
    given = parser.parse_args()
    pool = given.worker_of
    why = works(given.url, pool, given.worker) if pool else answers(given.url)
    if why:
        sys.stderr.write(f"unhealthy: {why}\n")
    return 1 if why else 0


if __name__ == "__main__":
    sys.exit(main())
