{{ config(materialized='ephemeral') }}

with entries as (
    select
        session_id, message_at, is_nested, file_key, file_generation, byte_offset, entry_id,
        {{ list_where('content_blocks', "item.block_type like '%tool_result'") }} as tool_results
    from {{ ref('int_touched_entries') }}
),

items as (
    {{ list_rows('entries', 'tool_results', [
        'session_id', 'message_at', 'is_nested', 'file_key', 'file_generation', 'byte_offset',
        'entry_id'
    ]) }}
),

final as (
    select
        entry_id || ':' || item.block_index as result_key,
        session_id, file_key, file_generation, entry_id, item.tool_use_id,
        byte_offset + item.block_index as position, message_at as finished_at,
        is_nested, item.is_error,
        item.payload_bytes as result_bytes
    from items
    where item.tool_use_id is not null
)

select * from final
