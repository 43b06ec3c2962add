"""The stack of containers, as ``make up`` and its like drive it: ``python -m flows.stack COMMAND``.

Settings and passwords become an environment, that and docker-compose.yml a call of Docker. What may
stand in the way is looked at before anything is started.
"""
