"""The platform as processes of this machine: agent, Prefect server, worker, dbt docs."""

from flows.local.state import ServiceState, State
from flows.local.stopping import down
from flows.local.supervisor import up

__all__ = ["State", "ServiceState", "up", "down"]
