"""The stages as Prefect flows: the only package that knows Prefect (extra ``platform``).

``python -m flows.orchestrated deploy`` and ``worker`` are its two commands.
"""
