"""Which transcripts the lake has records of, and how many bytes of each.

The lake outlives the buffers that its records came from, so it knows files of which nothing else
is left (docs/specs/byte-ledger.md, L-11).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from annals.errors import IntegrityError
from annals.limits import METADATA_BYTES, parse_json, read_file
from annals.records.kept_files import KeptFile
from annals.settings import Settings
from loaders import lake
from loaders.warehouse import Connection

_POSITIONS = "annals.positions"

_MISSING = """
create temp table origins as
with rows_elsewhere as (
    select * exclude (raw, raw_binary), case record_kind when 'file' then raw end as note
    from raw.records
    where file_path not in (select file_path from temp.known_paths)
      and len([root for root in $roots if starts_with(file_path, root)]) > 0
      and ($host is null or host = $host)
),
moved_keys as (
    select distinct file_key from rows_elsewhere where record_kind = 'file' and type = 'moved'
)
select rows_elsewhere.*,
       case when moved_keys.file_key is null then file_path else file_key end as origin
from rows_elsewhere left join moved_keys using (file_key)
"""

_READ_AGAIN = """
select distinct entry_id from raw.records
where file_path in (select file_path from temp.known_paths)
  and file_key in (select file_key from temp.origins)
"""

_FILES = f"""
with kept as (
    select origins.*, copies.entry_id is not null as is_copy
    from temp.origins left join ({_READ_AGAIN}) as copies using (entry_id)
),
newest as (
    select origin, arg_max(agent_id, (ingested_at, seq)) as agent_id,
           arg_max(file_generation, (ingested_at, seq)) as file_generation,
           arg_max(file_path, (ingested_at, seq)) as file_path
    from kept group by origin
    having not bool_or(is_copy) or bool_or(record_kind <> 'file' and not is_copy)
),
ranges as (
    select distinct origin, entry_id, record_kind, byte_offset, byte_length
    from kept semi join newest using (origin, agent_id, file_generation)
    where record_kind <> 'file'
),
summed as (
    select origin, max(byte_offset + byte_length) as reached,
           count(*) filter (record_kind = 'entry') as entries,
           count(*) filter (record_kind = 'quarantine') as quarantined,
           sum(byte_length) filter (record_kind = 'entry') as entry_bytes,
           sum(byte_length) filter (record_kind = 'quarantine') as quarantined_bytes
    from ranges group by origin
),
notes as (
    select origin, arg_max(note, (ingested_at, seq)) as note
    from kept semi join newest using (origin, agent_id, file_generation)
    where record_kind = 'file' group by origin
)
select newest.file_path, note, coalesce(reached, 0), coalesce(entries, 0), coalesce(quarantined, 0),
       coalesce(entry_bytes, 0)::bigint, coalesce(quarantined_bytes, 0)::bigint
from newest left join summed using (origin) left join notes using (origin)
order by newest.file_path
"""  # noqa: S608 (constants)


def agents_of_lake(settings: Settings) -> tuple[str, ...]:
    """Return the agents whose records the lake has, in order; read from its snapshots."""
    if lake.read_head(settings) is None:
        return ()
    summaries = _summaries(settings)
    positions = [parse_json(summary.get(_POSITIONS, "{}")) for summary in summaries]
    return tuple(sorted({str(agent) for one in positions for agent in one}))


def _summaries(settings: Settings) -> Iterator[dict[str, str]]:
    metadata = lake.head_location(settings)
    if metadata is not None:
        try:
            content = parse_json(read_file(metadata, limit=METADATA_BYTES))
            yield from (one.get("summary", {}) for one in content.get("snapshots", ()))
        except (OSError, ValueError, AttributeError) as error:
            raise IntegrityError(
                f"{metadata} cannot be read as the lake's metadata: {error}",
                hint="Run `annals repair`.",
            ) from error
        return
    opened = lake.open_lake(settings)
    if opened is not None:
        yield from opened.summaries


def missing_origins(
    connection: Connection, *, known: Iterable[str], roots: Sequence[str], host: str | None
) -> list[KeptFile]:
    """Return the transcripts below ``roots`` that the lake knows and ``known`` does not.

    ``connection`` is one of :func:`loaders.audit.lake_rows`. A file whose records were all read
    again under one of the ``known`` paths has moved there, and is not missing. With ``host`` only
    files of that machine count.
    """
    connection.execute("create temp table known_paths (file_path varchar)")
    connection.execute("insert into known_paths select unnest(?)", [list(known)])
    connection.execute(_MISSING, {"roots": [f"{root}/" for root in roots], "host": host})
    return [_origin(*row) for row in connection.execute(_FILES).fetchall()]


def _origin(
    path: str, note: str | None, reached: int, entries: int, quarantined: int, whole: int, rest: int
) -> KeptFile:
    noted = _figures(note)
    if noted.get("offset", 0) >= reached:
        return KeptFile(
            path,
            noted.get("entries", entries),
            quarantined,
            noted.get("entry_bytes", whole),
            noted.get("quarantined_bytes", rest),
            noted.get("separator_bytes", 0),
            max(0, noted.get("size", 0) - noted.get("offset", 0)),
        )
    separators = max(0, reached - whole - rest)
    return KeptFile(path, entries, quarantined, whole, rest, separators, 0)


def _figures(note: str | None) -> dict[str, int]:
    """Return the whole numbers of a ``file`` record; of one that cannot be read, none."""
    try:
        noted = parse_json(note or "{}")
        return {name: value for name, value in noted.items() if type(value) is int}
    except (ValueError, AttributeError):
        return {}
