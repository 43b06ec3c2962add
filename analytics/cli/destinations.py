"""Ask on the terminal before data goes to a new place; loaded only when a command runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from annals.settings import Settings


def confirm_destinations(settings: Settings, *names: str) -> None:
    """Ask for the places of these settings that nothing allows yet.

    See ``sync_agent.agent.confirming``.
    """
    from sync_agent.agent import confirming

    confirming.confirm_destinations(settings, *names)
