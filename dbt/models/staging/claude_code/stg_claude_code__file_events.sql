{{ config(materialized='view', tags='static') }}

with records as (
    select * from {{ source('lake', 'records') }}
    where record_kind = 'file'
),

parsed as (
    select
        *,
        {{ json_struct('raw', {
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
