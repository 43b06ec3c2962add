"""Waking the live agent when there is a request for it, without a risk to it.

SIGUSR1 ends a process that does not expect it; so it is sent only where the system says that the
agent catches it. Anywhere else the agent finds the request at its next round.
"""

from __future__ import annotations

import os
import re
import signal
import socket
from pathlib import Path

from annals.locks import Holder

KNOCK = signal.SIGUSR1
"""The agent that catches it looks for requests at once (:mod:`sync_agent.agent.requests`)."""

_CAUGHT = re.compile(r"^SigCgt:\s*([0-9a-fA-F]+)$", re.MULTILINE)


def wake_agent(holder: Holder | None, processes: Path = Path("/proc")) -> bool:
    """Wake the agent that holds the buffer; return whether it could be woken."""
    if holder is None or holder.host != socket.gethostname() or holder.pid <= 0:
        return False
    try:
        status = (processes / str(holder.pid) / "status").read_text(encoding="ascii")
        caught = _CAUGHT.search(status)
        if caught is None or not int(caught[1], 16) >> (KNOCK - 1) & 1:
            return False
        os.kill(holder.pid, KNOCK)
    except (OSError, ValueError):
        return False
    return True
