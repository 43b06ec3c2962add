"""Which records are of a conversation, not of another program (docs/specs/byte-ledger.md)."""

from __future__ import annotations

KNOWN_TYPES = frozenset(
    [
        "agent-color",
        "agent-name",
        "agent-setting",
        "ai-title",
        "assistant",
        "attachment",
        "attribution-snapshot",
        "bridge-session",
        "content-replacement",
        "continued-in",
        "cost-state",
        "custom-title",
        "ended",
        "file-history-delta",
        "file-history-snapshot",
        "fork-context-ref",
        "frame-link",
        "last-prompt",
        "mode",
        "permission-mode",
        "pr-link",
        "progress",
        "queue-operation",
        "relocated",
        "summary",
        "system",
        "tag",
        "task-summary",
        "teleported-from",
        "user",
        "worktree-state",
    ]
)
"""Types that Claude Code writes, with or without a ``uuid``."""


def is_conversation(kind: str | None, uuid: str | None) -> bool:
    """Return whether a record with this ``type`` and ``uuid`` is of a conversation."""
    return kind is not None and (kind in KNOWN_TYPES or uuid is not None)
