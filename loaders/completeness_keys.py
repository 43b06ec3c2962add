"""The keys by which a proof of completeness accounts for responses, computed again from bronze."""

from __future__ import annotations

BILLABLE = "has_usage and not is_api_error and coalesce(model_id, '') <> '<synthetic>'"
"""Whether a row of a response counts."""

CHOSEN_ROW = (
    "coalesce(iterations, 0), coalesce(output_tokens, 0), coalesce(input_tokens, 0)"
    " + coalesce(cache_read_tokens, 0) + greatest(coalesce(cache_creation_tokens, 0),"
    " coalesce(cache_5m_tokens, 0) + coalesce(cache_1h_tokens, 0)), file_key, file_generation,"
    " byte_offset, entry_id"
)
"""What is largest in the row of a response whose amounts count."""


def hash_key(*columns: str) -> str:
    """Return the SQL of the project's key over columns: the macro ``hash_key`` for DuckDB."""
    parts = (
        f"coalesce(strlen({column}::varchar) || ':' || {column}::varchar, '-')"
        for column in columns
    )
    return f"md5(concat_ws('|', {', '.join(parts)}))"


_IS_VENDOR_ID = (
    "(left(message_id, 9) = 'msg_bdrk_' or (left(message_id, 4) = 'msg_' and length(message_id)"
    " >= 24))"
)
_BORROWS = f"request_id is null and (is_nested or fork_of_uuid is not null or {_IS_VENDOR_ID})"

RESPONSES = f"""
    with recursive lent as (
        select
            message_id,
            case when min(request_id) = max(request_id) then min(request_id) end as request_id
        from checked_entries
        where message_id in (select message_id from checked_entries where {_BORROWS})
        group by message_id
    ),
    first_seen as (
        select message_id, file_key, min(message_at) as first_seen_at
        from checked_entries
        where message_id is not null and request_id is null
        group by message_id, file_key
    ),
    forks as (
        select message_id, file_key, fork_of_uuid as origin from checked_entries
        where request_id is null and fork_of_uuid is not null
        union
        select forks.message_id, forks.file_key, copies.fork_of_uuid
        from forks join checked_entries as copies
            on copies.message_id = forks.message_id and copies.uuid = forks.origin
        where copies.request_id is null and copies.fork_of_uuid is not null
    ),
    origins as (
        select forks.message_id, forks.file_key, min(seen.first_seen_at) as origin_seen_at
        from forks join checked_entries as copies
            on copies.message_id = forks.message_id and copies.uuid = forks.origin
        join first_seen as seen
            on seen.message_id = copies.message_id and seen.file_key = copies.file_key
        where copies.request_id is null
        group by 1, 2
    ),
    identified as (
        select
            entries.*, {BILLABLE} as is_billable,
            coalesce(origin_seen_at, first_seen.first_seen_at) as seen_at,
            coalesce(entries.request_id, case when {
    _BORROWS.replace("request_id", "entries.request_id")
}
                then lent.request_id end) as key_id
        from checked_entries as entries
        left join lent using (message_id)
        left join first_seen using (message_id, file_key)
        left join origins using (message_id, file_key)
        where message_id is not null
    )
    select
        * exclude (key_id, seen_at),
        {
    hash_key(
        "message_id",
        "key_id",
        "case when key_id is null then coalesce(model_id, 'unknown') end",
        f"case when key_id is null and not {_IS_VENDOR_ID} then epoch_us(seen_at) end",
    )
} as response_key
    from identified
"""  # noqa: S608 - names are constants
"""Rows of responses with the key of their response (docs/specs/accounting.md)."""
