"""A lake behind a catalog server: what the one who writes it and the one who reads it share.

Its files are in an object store, or in folders that the server names. Here is how both are
addressed, how long an answer is waited for, and what their faults are in terms of the error tree
(docs/adr/0024-lake-in-an-object-store.md).
"""

from annals.lake.faults import (
    catalog_server_fault,
    object_store_fault,
    table_store_fault,
    unset_object_store,
)
from annals.lake.places import (
    catalog_address,
    has_keys,
    is_elsewhere,
    lake_place,
    usable_location,
)

__all__ = [
    "catalog_address",
    "has_keys",
    "is_elsewhere",
    "lake_place",
    "usable_location",
    "catalog_server_fault",
    "object_store_fault",
    "table_store_fault",
    "unset_object_store",
]
