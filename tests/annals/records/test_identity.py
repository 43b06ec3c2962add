"""The identity of entries and the names of files."""

from __future__ import annotations

import os
from hashlib import blake2b

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annals.records.identity import (
    entry_id,
    file_key,
    original_name,
    owning_session,
    readable,
)


def test_entry_id_is_the_hash_of_key_offset_and_bytes() -> None:
    """The id is the 16-byte blake2b of key, NUL, decimal offset, NUL and the exact bytes."""
    expected = blake2b(b's.jsonl\x00120\x00{"a":1}', digest_size=16).digest()
    assert entry_id(b"s.jsonl", 120, b'{"a":1}') == expected
    assert entry_id(b"s.jsonl", 120, memoryview(b'{"a":1}')) == expected


@pytest.mark.parametrize(
    ("relative", "key"),
    [
        ("-home-me/s.jsonl", "s.jsonl"),
        ("-home-me/s/subagents/agent-1.jsonl", "s/subagents/agent-1.jsonl"),
        ("loose.jsonl", "loose.jsonl"),
    ],
)
def test_file_key_leaves_the_project_folder_out(relative: str, key: str) -> None:
    """A session that moves between project folders keeps its key."""
    assert file_key(relative) == key


@pytest.mark.parametrize("key", ["s1.jsonl", "s1/subagents/agent-1.jsonl"])
def test_owning_session_is_the_same_for_main_and_subagent_files(key: str) -> None:
    """Records without a session id belong to the session that the key starts with."""
    assert owning_session(key) == "s1"


def test_readable_leaves_utf8_names_alone() -> None:
    """A name that is valid text is stored as it is, backslashes included."""
    assert readable("ünï\\x41.jsonl") == "ünï\\x41.jsonl"


@given(st.binary(min_size=1).filter(lambda name: b"\0" not in name))
def test_readable_names_can_be_undone(name: bytes) -> None:
    """Whatever bytes a file name has, its text can be stored, and an escaped one undone."""
    text = os.fsdecode(name)
    shown = readable(text)
    shown.encode("utf-8")
    assert shown == text or original_name(shown) == name
