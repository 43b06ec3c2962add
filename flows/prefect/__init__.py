"""The stages as Prefect flows: the only package that knows Prefect (extra ``platform``).

``python -m flows.prefect deploy`` and ``worker`` are its two commands.
"""
