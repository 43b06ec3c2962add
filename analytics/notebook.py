"""A published build for notebooks: ``analytics.open()``, as tables, Arrow or pandas.

This is the one module that loads pandas, and only when a frame is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from annals.errors import UsageError
from annals.records.identity import id_with_prefix
from annals.settings import Settings, load_settings
from annals.settings.sample import sample_settings, wants_sample
from loaders import audit, warehouse
from loaders.builds import build_number

if TYPE_CHECKING:
    import pandas as pd

Money = Literal["decimal", "float"]

_LAYERS = ("gold", "meta")
_TABLES = """
    select schema_name || '.' || view_name from duckdb_views() where schema_name in ('gold', 'meta')
    union
    select schema_name || '.' || table_name from duckdb_tables()
    where schema_name in ('gold', 'meta')
    order by 1
"""
_ENTRIES = """
    select * from raw.records
    where record_kind = 'entry' and ($session is null or session_id = $session)
    qualify row_number() over (partition by entry_id order by seq) = 1
    order by file_key, file_generation, byte_offset
"""


@dataclass(frozen=True, slots=True)
class Rows:
    """The answer to a question, as an Arrow table."""

    arrow: Any

    def to_arrow(self) -> Any:
        """Return the rows as :class:`pyarrow.Table`."""
        return self.arrow

    def to_pandas(self, *, money: Money = "decimal") -> pd.DataFrame:
        """Return the rows as a data frame in which no value changes its kind.

        Whole numbers stay whole if some are missing (``Int64``), instants have their zone (UTC).
        Columns of DECIMAL, which money is, hold :class:`decimal.Decimal`, or float64 with
        ``money="float"``.
        """
        if money not in ("decimal", "float"):
            raise UsageError(
                f"money={money!r} is not decimal or float", hint='Write money="decimal" or "float".'
            )
        frame: pd.DataFrame = _with_money(self.arrow, money).to_pandas(
            types_mapper=_nullable_types().get, date_as_object=False
        )
        return frame

    def __len__(self) -> int:
        """Return the number of rows."""
        return int(self.arrow.num_rows)


class Build:
    """One published build, read-only; it stays the same however often newer ones are published.

    Close it, or use it as a context manager.
    """

    def __init__(self, settings: Settings, folder: Path | None) -> None:
        self._settings = settings
        self._connection = warehouse.open_build(settings, folder)

    def __enter__(self) -> Self:
        """Return the build itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the build."""
        self.close()

    def close(self) -> None:
        """Close the build; a second time changes nothing."""
        self._connection.close()

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables of the build, such as ``gold.fct_api_responses``."""
        return tuple(name for (name,) in self._connection.execute(_TABLES).fetchall())

    def table(self, name: str) -> Rows:
        """Return a whole table, without a schema one of gold; raise UsageError if it is missing."""
        wanted = name if "." in name else f"gold.{name}"
        if wanted not in self.tables:
            raise UsageError(
                f"the build has no table {name!r}", hint=f"It has {', '.join(self.tables)}."
            )
        schema, _, table = wanted.partition(".")
        return self.sql(f'select * from "{schema}"."{table}"')  # noqa: S608 (a name that is there)

    def sql(
        self, query: str, parameters: Sequence[object] | Mapping[str, object] | None = None
    ) -> Rows:
        """Return the answer to a query in DuckDB's SQL; errors are DuckDB's own."""
        return Rows(self._connection.execute(query, parameters).to_arrow_table())

    def entries(self, session: str | None = None) -> Rows:
        """Return the entries of a session, or all, with their exact bytes, from the lake.

        ``session`` is an id or how one begins. Raises UsageError if none does, or several do.
        """
        wanted = None if session is None else self._session(session)
        with audit.lake_rows(self._settings) as lake:
            return Rows(lake.execute(_ENTRIES, {"session": wanted}).to_arrow_table())

    def _session(self, prefix: str) -> str:
        query = "select session_id from gold.dim_sessions where starts_with(session_id, ?)"
        known = self._connection.execute(query, [prefix]).fetchall()
        found = id_with_prefix(prefix, (name for (name,) in known))
        if found is None:
            raise UsageError(
                f"no session id begins with {prefix!r}",
                hint="`annals sessions list --json` shows the ids.",
            )
        return found


def open_build(
    build: str | Path | None = None,
    as_of: date | datetime | str | None = None,
    *,
    settings: Settings | None = None,
) -> Build:
    """Open a published build: the current one, one by name, or one in a folder.

    ``as_of`` picks the newest kept build that was made at or before that instant (a day: its end;
    UTC if it has no zone). The settings are those that commands use, the sample included.
    Raises WarehouseError if nothing is published, UsageError for a build that is not there.
    """
    found = settings or _settings()
    if build is not None and as_of is not None:
        raise UsageError("build and as_of exclude each other", hint="Give one of them.")
    if as_of is not None:
        return Build(found, _build_as_of(found, _instant(as_of)))
    return Build(found, None if build is None else _folder(found, build))


def _settings() -> Settings:
    settings = load_settings(unused=Settings.model_fields)
    return sample_settings(settings) if wants_sample(settings) else settings


def _folder(settings: Settings, build: str | Path) -> Path:
    for folder in (settings.builds_folder / "builds" / build, Path(build).expanduser()):
        if (folder / "catalog.duckdb").is_file():
            return folder.resolve()
    raise UsageError(
        f"there is no build {str(build)!r}",
        hint=f"Give a folder with a catalog.duckdb, or a name in {settings.builds_folder}/builds.",
    )


def _build_as_of(settings: Settings, moment: datetime) -> Path:
    made: list[str] = []
    for folder in _kept(settings):
        with Build(settings, folder) as build:
            (created,) = build.sql("select created_at from meta.build").arrow["created_at"]
        made.append(f"{created.as_py():%Y-%m-%dT%H:%M:%SZ}")
        if created.as_py() <= moment:
            return folder
    raise UsageError(
        f"no kept build was made by {moment.isoformat()}; older states cannot be queried yet",
        hint=f"Kept builds are of {', '.join(made) or 'no time: run `annals pipeline`'}.",
    )


def _kept(settings: Settings) -> list[Path]:
    """Return the folders of the kept builds, the newest first."""
    folders = (settings.builds_folder / "builds").glob("*/catalog.duckdb")
    named = [path.parent for path in folders if build_number(path.parent.name) is not None]
    return sorted(named, key=lambda path: (build_number(path.name) or 0, path.name), reverse=True)


def _instant(given: date | datetime | str) -> datetime:
    if isinstance(given, str):
        given = _parsed(given)
    if not isinstance(given, datetime):
        given = datetime.combine(given, time.max)
    return given if given.tzinfo else given.replace(tzinfo=UTC)


def _parsed(text: str) -> date | datetime:
    for parse in (date.fromisoformat, datetime.fromisoformat):
        try:
            return parse(text)
        except ValueError:
            continue
    raise UsageError(
        f"as_of={text!r} is not a day or an instant", hint="Write 2026-01-31, or an ISO 8601 time."
    )


def _with_money(table: Any, money: Money) -> Any:
    import pyarrow as pa  # noqa: PLC0415 -- only if a frame is wanted

    if money == "decimal":
        return table
    fields = [
        field.with_type(pa.float64()) if pa.types.is_decimal(field.type) else field
        for field in table.schema
    ]
    return table.cast(pa.schema(fields))


def _nullable_types() -> dict[Any, Any]:
    import pandas as pd  # noqa: PLC0415 -- 0.3 s that only notebooks need
    import pyarrow as pa  # noqa: PLC0415

    return {
        pa.bool_(): pd.BooleanDtype(),
        pa.int8(): pd.Int8Dtype(),
        pa.int16(): pd.Int16Dtype(),
        pa.int32(): pd.Int32Dtype(),
        pa.int64(): pd.Int64Dtype(),
        pa.string(): pd.StringDtype(),
    }
