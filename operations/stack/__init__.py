"""The stack of containers, driven by ``python -m operations.stack COMMAND``, as ``make up`` does.

Settings and passwords become an environment, that and docker-compose.yml a call of Docker. What may
stand in the way is looked at before anything is started.
"""
