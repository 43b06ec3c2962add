"""The envelope: the whitelisted fields that are promoted out of an entry's JSON.

Two lanes: msgspec first, which is strict and exact; then, up to 8 MiB, the standard
library for what msgspec refuses although it is JSON (lone surrogates). Neither takes ``NaN``.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

SECOND_LANE_BYTES = 8 * 1024 * 1024
"""Above this size only the first lane is tried: the second builds the whole value in memory."""


class Envelope(msgspec.Struct, rename="camel", gc=False):
    """The promoted fields, ``None`` where absent or of another type than expected."""

    type: str | None = None
    uuid: str | None = None
    parent_uuid: str | None = None
    session_id: str | None = None
    timestamp: str | None = None
    request_id: str | None = None
    version: str | None = None
    cwd: str | None = None
    git_branch: str | None = None
    is_sidechain: bool | None = None


class NotAnObjectError(ValueError):
    """The bytes are valid JSON, but no object."""


_FIELDS = tuple(
    (field.name, field.encode_name, bool if field.name == "is_sidechain" else str)
    for field in msgspec.structs.fields(Envelope)
)
_decode_struct = msgspec.json.Decoder(Envelope).decode
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def read_envelope(raw: bytes | memoryview) -> Envelope:
    """Return the envelope of one complete JSON object.

    Raises NotAnObjectError for a valid value that is no object, and ValueError or RecursionError
    for bytes that are no JSON value (invalid UTF-8 included).
    """
    check_utf8(raw)
    try:
        return _decode_struct(raw)
    except msgspec.ValidationError:
        return _read_members(raw)
    except msgspec.DecodeError:
        return _second_lane(raw)


def check_utf8(raw: bytes | memoryview) -> None:
    """Raise UnicodeDecodeError unless the bytes are strict UTF-8; msgspec skips over bad ones."""
    if isinstance(raw, memoryview) or not raw.isascii():
        str(raw, "utf-8")


def _read_members(raw: bytes | memoryview) -> Envelope:
    """Read an object whose fields are not all of the expected types."""
    try:
        members = _decode_members(raw)
    except msgspec.ValidationError as error:
        raise NotAnObjectError("a JSON value, but no object") from error
    except msgspec.DecodeError:
        return _second_lane(raw)
    return _pick({name: _plain(members[name]) for _, name, _ in _FIELDS if name in members})


def _plain(value: msgspec.Raw) -> Any:
    if bytes(memoryview(value)[:1]) not in (b'"', b"t", b"f"):
        return None  # a number, object or array is no promoted value; it is not even built
    try:
        return msgspec.json.decode(value)
    except msgspec.DecodeError:
        return json.loads(bytes(value))


def _second_lane(raw: bytes | memoryview) -> Envelope:
    if len(raw) > SECOND_LANE_BYTES:
        raise ValueError("no JSON to the strict parser, and too large for the tolerant one")
    value = json.loads(bytes(raw), parse_constant=_refuse_constant)
    if not isinstance(value, dict):
        raise NotAnObjectError("a JSON value, but no object")
    return _pick(value)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON value")


def _pick(members: dict[str, Any]) -> Envelope:
    envelope = Envelope()
    for field, name, kind in _FIELDS:
        value = members.get(name)
        if isinstance(value, kind):
            setattr(envelope, field, _storable(value))
    return envelope


def _storable(value: Any) -> Any:
    """Replace lone surrogates, which neither UTF-8 nor Arrow nor BSON can hold."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    return value
