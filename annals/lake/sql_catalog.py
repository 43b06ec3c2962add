"""The Iceberg catalog in an SQL database: opening it, and what is wrong with its address."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from annals.errors import SettingsError

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog


def open_sql_catalog(name: str, properties: Mapping[str, str]) -> Catalog:
    """Return the catalog; raise SettingsError (exit 3) if its address or its driver is at fault."""
    from pyiceberg.catalog import load_catalog  # noqa: PLC0415 - half a second
    from pyiceberg.exceptions import NotInstalledError  # noqa: PLC0415 - as above
    from sqlalchemy.exc import ArgumentError  # noqa: PLC0415 - as above

    try:
        return load_catalog(name, **properties)
    except ArgumentError as error:  # its subclass for an unknown kind of database included
        raise _wrong_address(f"is not the address of a database: {error}") from None
    except (NotInstalledError, ImportError) as error:
        raise _wrong_address("needs a database driver that is not installed") from error


def _wrong_address(why: str) -> SettingsError:
    return SettingsError(
        f"ICEBERG_CATALOG_URI {why}",
        hint="Write it as sqlite:////FOLDER/catalog.db, install the driver of your database, or"
        " unset it: the default is a file in the lake's folder.",
    )
