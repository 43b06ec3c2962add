"""What operating the agent loads: nothing of the lake, the warehouse or the server's client."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.conftest import clean_environment

HEAVY = {"pyiceberg", "pyarrow", "duckdb", "dbt", "prefect", "pandas", "pymongo", "rich"}
MODULES = (
    *("agent.agent_status", "agent.flush", "agent.installing", "agent.requests", "agent.units"),
    *("agent.wake", "buffer.transaction_log"),
    *("upkeep.quarantine", "upkeep.replay"),
)


def test_operating_the_agent_loads_nothing_heavy(home: Path) -> None:
    """Importing all that operates the agent loads no heavy package, nor another stage."""
    code = f"import {', '.join(f'sync_agent.{name}' for name in MODULES)}, sys, json"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nprint(json.dumps(sorted(sys.modules)))"],
        env=clean_environment(home),
        cwd=home,
        capture_output=True,
        text=True,
        check=True,
    )
    packages = {name.partition(".")[0] for name in json.loads(done.stdout)}
    assert packages.isdisjoint(HEAVY)
    assert packages.isdisjoint({"extractors", "loaders", "flows", "operations", "reports"})
