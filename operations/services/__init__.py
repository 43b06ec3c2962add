"""The platform as processes of this machine: agent, Prefect server, worker, dbt docs."""

from flows.running_services import ServiceState, State
from operations.services.stopping import down
from operations.services.supervisor import up

__all__ = ["State", "ServiceState", "up", "down"]
