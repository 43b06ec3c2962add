{{ config(materialized='ephemeral') }}

with uses as (
    select distinct session_id from {{ ref('int_tool_uses') }}
),

entries as (
    select * from {{ ref('stg_claude_code__entries') }}
    where session_id in (select session_id from uses)
),

items as (
    {{ list_rows('entries', 'content_blocks', [
        'session_id', 'occurred_at', 'file_key', 'file_generation', 'byte_offset', 'entry_id'
    ]) }}
),

final as (
    select
        {{ hash_key(['entry_id', 'item.block_index']) }} as result_key,
        session_id, file_key, file_generation, entry_id, item.tool_use_id,
        byte_offset + item.block_index as position, occurred_at as finished_at, item.is_error,
        item.payload_bytes as result_bytes
    from items
    where item.block_type = 'tool_result' and item.tool_use_id is not null
)

select * from final
