"""The objects of a folder, as their store lists them."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import unquote

from annals.lake.faults import object_store_fault
from annals.lake.places import rest_properties
from annals.lake.store import OK, Store
from annals.settings import Settings

_NEXT = re.compile(rb"<NextContinuationToken>([^<]{1,4096})</NextContinuationToken>")
_ENTRY = re.compile(rb"<Contents>(.*?)</Contents>", re.DOTALL)
_END = b"</ListBucketResult>"
_MEMBER = re.compile(rb"<(Key|Size|LastModified|ETag)>([^<]*)</")
_PAGE_BYTES = 8 * 1024 * 1024
"""A page has at most a thousand objects, with names of at most 3 kB each."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object as a store lists it: size, time in whole seconds, and its ETag if it gives one."""

    size: int
    changed_at: int
    etag: str | None


def list_objects(settings: Settings, folder: str) -> Iterator[tuple[str, StoredObject]]:
    """Yield location and entry of each object of a folder, without those of folders in it.

    A request for each thousand of them. Raises the error for what the store answers otherwise.
    """
    scheme, _, place = folder.partition("://")
    bucket, _, prefix = place.partition("/")
    store = Store(rest_properties(settings), bucket)
    query = {"list-type": "2", "delimiter": "/", "encoding-type": "url", "max-keys": "1000"}
    query["prefix"] = f"{prefix.rstrip('/')}/"
    while True:
        answer, body = store.ask("GET", "", query, limit=_PAGE_BYTES)
        if answer.status != OK or answer.code or _END not in body:
            said = f"it lists no objects (status {answer.status})"
            raise object_store_fault(answer, folder, said)
        for entry in _ENTRY.findall(body):
            members = {name: html.unescape(text.decode()) for name, text in _MEMBER.findall(entry)}
            yield f"{scheme}://{bucket}/{unquote(members[b'Key'])}", _stored(members)
        following = _NEXT.search(body)
        if following is None:
            return
        query["continuation-token"] = html.unescape(following[1].decode())


def _stored(members: Mapping[bytes, str]) -> StoredObject:
    changed_at = datetime.fromisoformat(members[b"LastModified"])
    etag = members.get(b"ETag", "").strip('"')
    return StoredObject(int(members[b"Size"]), int(changed_at.timestamp()), etag or None)
