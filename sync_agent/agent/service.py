"""What a service manager gets (sd_notify): ready, alive, stopping."""

from __future__ import annotations

import contextlib
import os
import socket

_MICROSECONDS = 1_000_000


def notify(state: str) -> None:
    """Send ``state`` (``READY=1``) to the manager that started this process, where there is one."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel,
    ):
        channel.connect(address)
        channel.sendall(state.encode())


def watchdog_seconds() -> float | None:
    """Return how often the manager wants to hear from this process, None where it does not."""
    wanted = os.environ.get("WATCHDOG_USEC", "")
    if not wanted.isdigit() or os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    return int(wanted) / _MICROSECONDS
