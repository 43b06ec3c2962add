"""The envelope: the whitelisted fields that are promoted out of an entry's JSON.

Two lanes: msgspec first, which is strict and exact; then, up to 8 MiB, msgspec once more with lone
surrogates replaced, which it refuses although they are JSON. (The standard library takes them as
they are, but builds the whole value: 30 times its size, for a hostile one.) Neither takes ``NaN``.
"""

from __future__ import annotations

import codecs
import json
import re
from typing import Any

import msgspec

SECOND_LANE_BYTES = 8 * 1024 * 1024
"""Above this size only the first lane is tried: the second makes a copy of the bytes."""

_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
"""An escape in a string; group 1 is a surrogate that is not part of a pair."""

_CHECKED_WHOLE_BYTES = 1024 * 1024
_WHITE_SPACE = b" \t\r\n"


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
_decode_raw = msgspec.json.Decoder(msgspec.Raw).decode
_Members = msgspec.defstruct(
    "_Members", [(name, msgspec.Raw, msgspec.Raw()) for _, name, _ in _FIELDS], gc=False
)
"""The promoted fields as they stand there: the other members are passed over, not built."""

_decode_members = msgspec.json.Decoder(_Members).decode


def read_envelope(raw: bytes | bytearray | memoryview) -> Envelope:
    """Return the envelope of one complete JSON object.

    Raises NotAnObjectError for a valid value that is not an object, and ValueError or
    RecursionError for bytes that are not a JSON value (invalid UTF-8 included).
    """
    check_utf8(raw)
    try:
        return _decode_struct(raw)
    except msgspec.ValidationError:
        return _read_members(raw)
    except msgspec.DecodeError:
        return _second_lane(raw)


def check_object(raw: bytes) -> None:
    """Raise ValueError or RecursionError unless ``raw`` is one JSON object a reader would take.

    Nothing of the value is built.
    """
    check_utf8(raw)
    try:
        _decode_raw(raw)
    except msgspec.DecodeError:
        read_envelope(raw)
    if not raw.lstrip(_WHITE_SPACE).startswith(b"{"):
        raise NotAnObjectError("a JSON value, but not an object")


def check_utf8(raw: bytes | bytearray | memoryview) -> None:
    """Raise UnicodeDecodeError unless the bytes are strict UTF-8; msgspec skips over bad ones.

    Long values are decoded in pieces, so that no text of several times their size is built.
    """
    if not isinstance(raw, memoryview) and raw.isascii():
        return
    if len(raw) <= _CHECKED_WHOLE_BYTES:
        str(raw, "utf-8")
        return
    decoder = codecs.getincrementaldecoder("utf-8")("strict")
    for start in range(0, len(raw), _CHECKED_WHOLE_BYTES):
        decoder.decode(raw[start : start + _CHECKED_WHOLE_BYTES])
    decoder.decode(b"", final=True)


def _read_members(raw: bytes | bytearray | memoryview) -> Envelope:
    """Read an object whose fields are not all of the expected types."""
    try:
        members = _decode_members(raw)
    except msgspec.ValidationError as error:
        return _no_object(raw, error)
    except msgspec.DecodeError:
        return _second_lane(raw)
    found = {name: getattr(members, name) for _, name, _ in _FIELDS}
    return _pick({name: _plain(raw) for name, raw in found.items() if memoryview(raw)})


def _no_object(raw: bytes | bytearray | memoryview, error: msgspec.ValidationError) -> Envelope:
    """Raise NotAnObjectError, unless only the beginning of the bytes is a value: then ValueError.

    The typed parsers refuse a first byte of another type without a look at what follows it.
    """
    try:
        _decode_raw(raw)
    except msgspec.DecodeError:
        return _second_lane(raw)
    raise NotAnObjectError("a JSON value, but no object") from error


def _plain(value: msgspec.Raw) -> Any:
    if bytes(memoryview(value)[:1]) not in (b'"', b"t", b"f"):
        return None  # a number, object or array is not a promoted value; it is not even built
    try:
        return msgspec.json.decode(value)
    except msgspec.DecodeError:
        return json.loads(bytes(value))


def _second_lane(raw: bytes | bytearray | memoryview) -> Envelope:
    if len(raw) > SECOND_LANE_BYTES:
        raise ValueError("no JSON to the strict parser, and too large for the tolerant one")
    plain, replaced = _ESCAPE.subn(_without_lone_surrogate, raw)
    if not replaced or plain == raw:
        raise ValueError("no JSON value")
    try:
        return _read_members(plain)
    except msgspec.DecodeError as error:
        raise ValueError("no JSON value") from error


def _without_lone_surrogate(escape: re.Match[bytes]) -> bytes:
    return b"?" if escape[1] else escape[0]


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
