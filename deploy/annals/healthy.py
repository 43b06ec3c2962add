"""Does a service answer? The health check of our containers: exit code 0 if it does.

``healthy.py URL --says TEXT`` wants an answer below 400 with this text in it: another program on
the same port answers too. ``healthy.py API --worker-of POOL --worker NAME``
wants that Prefect has heard of this worker lately, whichever others the pool has; PREFECT_LOGIN is
the login there.
"""

from __future__ import annotations

import argparse
import os
import sys
import urllib.parse
import urllib.request

from annals.prefect_api import PrefectApi

_SECONDS = 4.0
_ONLINE = "ONLINE"
_LONGEST = 64 * 1024


def answers(url: str, says: str) -> str | None:
    """Return None if the address answers with the text ``says``, else why not."""
    try:
        body = _call(url)
    except (OSError, ValueError) as error:
        return f"{_shown(url)}: {error}"
    return (
        None if says.encode() in body else f"{_shown(url)}: its answer is not that of the service"
    )


def works(api: str, pool: str, name: str) -> str | None:
    """Return None where the pool's worker of that name is online, else why not."""
    asked = {"limit": 200, "workers": {"status": {"any_": [_ONLINE]}}}
    path = f"/work_pools/{pool}/workers/filter"
    try:
        workers = PrefectApi(api, os.environ.get("PREFECT_LOGIN"), seconds=_SECONDS).call(
            "POST", path, asked
        )
    except (OSError, ValueError) as error:
        return f"{_shown(api)}: {error}"
    online = {one["name"] for one in workers if one.get("status") == _ONLINE}
    return None if name in online else f"the worker {name} of the pool {pool} is not online"


def _shown(url: str) -> str:
    """Return scheme and host of an address: the rest can hold a secret."""
    parts = urllib.parse.urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _call(url: str) -> bytes:
    if not url.startswith(("http://", "https://")):
        raise ValueError("no address of a web server")
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(url, timeout=_SECONDS) as answer:
        body: bytes = answer.read(_LONGEST)
    return body


def main() -> int:
    """Check what the arguments name; say on standard error what is wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("--says", metavar="TEXT", default="")
    parser.add_argument("--worker-of", metavar="POOL")
    parser.add_argument("--worker", metavar="NAME", default="")
    given = parser.parse_args()
    pool = given.worker_of
    if not pool and not given.says:
        parser.error("--says is needed: a status alone does not show which program answers")
    why = works(given.url, pool, given.worker) if pool else answers(given.url, given.says)
    if why:
        sys.stderr.write(f"unhealthy: {why}\n")
    return 1 if why else 0


if __name__ == "__main__":
    sys.exit(main())
