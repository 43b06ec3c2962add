"""Everything that a flow run needs, imported once for all runs of a worker."""

from __future__ import annotations

import importlib

for _name in (
    "prefect.engine",
    "prefect.task_engine",
    "prefect.artifacts",
    "flows.prefect.pipeline",
    "sync_agent.agent.once",
    "sync_agent.agent.shipment",
    "extractors.extract",
    "extractors.mongo",
    "loaders.load",
    "loaders.transform",
    "loaders.publish",
    "loaders.audit",
    "dbt.cli.main",
):
    importlib.import_module(_name)
