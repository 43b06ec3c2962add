"""What the supervisor asks of whatever ships the buffer's records to a server."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import datetime
from typing import Protocol


class ShippingStatus(Protocol):
    """How shipping goes; counts are over this process, ``last_error`` carries no secret."""

    @property
    def connected(self) -> bool | None:
        """Whether the server answers; None before it was asked."""

    @property
    def circuit(self) -> str:
        """``closed``, ``open`` (the server is left alone for a while) or ``half-open``."""

    @property
    def shipped(self) -> int:
        """Records that were shipped."""

    @property
    def pending(self) -> int:
        """Records that are not shipped yet."""

    @property
    def dead_letters(self) -> int:
        """Records that the server refused."""

    @property
    def last_ship_at(self) -> datetime | None:
        """When a batch was shipped last."""

    @property
    def last_error(self) -> str | None:
        """What went wrong last."""

    @property
    def errors(self) -> Mapping[str, int]:
        """How often what went wrong."""

    @property
    def average_ms(self) -> float:
        """Milliseconds that a batch took on the average."""


class Shipping(Protocol):
    """Ships what the buffer has, with connections of its own."""

    def run(self, stop: threading.Event, wake: threading.Event) -> None:
        """Ship until ``stop``; ``wake`` says that there is more."""

    def drain(self, deadline: float) -> bool:
        """Ship what is left until ``deadline`` (monotonic); return whether nothing is left."""

    def close(self) -> None:
        """Leave buffer and server; a later step opens both again."""

    def status(self) -> ShippingStatus:
        """Return how it goes."""
