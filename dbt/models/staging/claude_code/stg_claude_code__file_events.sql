{{ config(materialized='view', tags='static') }}

-- the lake may hold an event twice: a buffer that took the place of a lost one notes it again
with records as (
    select *
    from {{ source('lake', 'records') }}
    where record_kind = 'file'
    qualify row_number() over (
        partition by entry_id order by ingested_at, host, file_path, agent_id, seq
    ) = 1
),

parsed as (
    select
        *,
        {{ json_struct(readable_json('raw'), {
            'generation': 'VARCHAR', 'size': 'VARCHAR', 'entries': 'VARCHAR',
            'entry_bytes': 'VARCHAR', 'quarantined_bytes': 'VARCHAR', 'separator_bytes': 'VARCHAR'
        }) }} as file
    from records
),

final as (
    select
        entry_id as event_id,
        type as event,
        host,
        file_path,
        file_key,
        {{ whole_number('file.generation') }} as generation,
        {{ whole_number('file.size') }} as size,
        {{ whole_number('file.entries') }} as entries,
        {{ whole_number('file.entry_bytes') }} as entry_bytes,
        {{ whole_number('file.quarantined_bytes') }} as quarantined_bytes,
        {{ whole_number('file.separator_bytes') }} as separator_bytes,
        ingested_at as recorded_at
    from parsed
)

select * from final
