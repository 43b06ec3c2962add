"""Eras of Claude Code: which version writes what."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

Version = tuple[int, int, int]

FEATURES: dict[str, tuple[Version, Version | None]] = {
    "git_branch": ((1, 0, 58), None),
    "cache_split": ((1, 0, 89), None),
    "system_records": ((2, 0, 1), None),
    "snapshots": ((2, 0, 1), None),
    "summary": ((2, 0, 1), (2, 1, 29)),
    "thinking_level": ((2, 0, 1), (2, 1, 17)),
    "server_tool_use": ((2, 0, 1), None),
    "inference_geo": ((2, 0, 13), None),
    "agent_files": ((2, 0, 28), None),
    "flat_agents": ((2, 0, 28), (2, 1, 1)),
    "queue_operations": ((2, 0, 62), None),
    "slug": ((2, 0, 62), (2, 1, 217)),
    "todos": ((2, 0, 62), (2, 1, 62)),
    "stop_hooks": ((2, 0, 64), None),
    "source_uuid": ((2, 0, 77), None),
    "turn_duration": ((2, 1, 1), None),
    "progress": ((2, 1, 11), (2, 1, 83)),
    "permission_mode": ((2, 1, 15), None),
    "long_agent_id": ((2, 1, 31), None),
    "iterations": ((2, 1, 38), None),
    "speed": ((2, 1, 41), None),
    "final_usage": ((2, 1, 59), None),
    "agent_tool": ((2, 1, 63), None),
    "last_prompt": ((2, 1, 70), None),
    "prompt_id": ((2, 1, 73), None),
    "entrypoint": ((2, 1, 81), None),
    "titles": ((2, 1, 81), None),
    "attachments": ((2, 1, 90), None),
    "queued_command": ((2, 1, 97), None),
    "diagnostics": ((2, 1, 119), None),
    "origin": ((2, 1, 121), None),
    "mode": ((2, 1, 205), None),
    "session_id": ((2, 1, 207), None),
    "effort": ((2, 1, 215), None),
    "bridge": ((2, 1, 217), None),
    "output_details": ((2, 1, 228), None),
}
"""First and last version that writes a feature, as measured (open where it still does)."""


@dataclass(frozen=True, slots=True)
class Era:
    """One version and the models that were in use with it."""

    version: str
    models: tuple[tuple[str, int], ...]

    @property
    def number(self) -> Version:
        """The version as three integers."""
        return _number(self.version)

    def has(self, feature: str) -> bool:
        """Return whether this version writes ``feature``, a key of FEATURES."""
        return _has(self.version, feature)


@cache
def _number(version: str) -> Version:
    major, minor, patch = map(int, version.split("."))
    return major, minor, patch


@cache
def _has(version: str, feature: str) -> bool:
    first, last = FEATURES[feature]
    return first <= _number(version) and (last is None or _number(version) <= last)


_EARLY = (("claude-sonnet-4-20250514", 4), ("claude-opus-4-20250514", 1))
_AUTUMN = (("claude-sonnet-4-5-20250929", 4), ("claude-haiku-4-5-20251001", 1))
_WINTER = (("claude-opus-4-5-20251101", 5), ("claude-haiku-4-5-20251001", 1))
_SPRING = (("claude-opus-4-6", 5), ("claude-sonnet-4-6", 3), ("claude-haiku-4-5-20251001", 1))
_SUMMER = (("claude-opus-5", 5), ("claude-sonnet-5", 4), ("claude-haiku-4-5-20251001", 1))

ERAS = (
    Era("1.0.17", _EARLY),
    Era("1.0.58", _EARLY),
    Era("1.0.108", _EARLY),
    Era("2.0.1", _AUTUMN),
    Era("2.0.28", _AUTUMN),
    Era("2.0.74", _WINTER),
    Era("2.1.2", _WINTER),
    Era("2.1.14", _WINTER),
    Era("2.1.38", _SPRING),
    Era("2.1.49", _SPRING),
    Era("2.1.59", _SPRING),
    Era("2.1.73", _SPRING),
    Era("2.1.83", _SPRING),
    Era("2.1.97", _SPRING),
    Era("2.1.119", _SPRING),
    Era("2.1.140", _SUMMER),
    Era("2.1.181", _SUMMER),
    Era("2.1.207", _SUMMER),
    Era("2.1.219", _SUMMER),
    Era("2.1.228", _SUMMER),
)
"""The versions that are written, oldest first."""

GATEWAY_MODELS = (("deepseek-v3.2", 3), ("glm-5", 2))
"""Third-party models reached through a gateway: no request id, no cache writes."""

UNPRICED_MODEL = "orchid-chat-2"
"""A model that no price list knows; it does not exist."""


def era_of(version: str) -> Era:
    """Return the era of ``version``; raises KeyError where it is none of ERAS."""
    return {era.version: era for era in ERAS}[version]
