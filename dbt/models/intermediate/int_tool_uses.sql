{{ config(materialized='ephemeral') }}

with response_rows as (
    select * from {{ ref('int_response_rows') }}
    where {{ list_size('tool_uses') }} > 0
),

items as (
    {{ list_rows('response_rows', 'tool_uses', [
        'response_key', 'message_id', 'session_id', 'message_at', 'is_subagent_file',
        'is_subagent', 'is_nested', 'file_key', 'file_generation', 'byte_offset', 'entry_id', 'uuid'
    ]) }}
),

final as (
    select
        entry_id || ':' || item.block_index as use_key,
        response_key, message_id, session_id, message_at as called_at, is_subagent_file,
        is_subagent, is_nested, file_key, file_generation, entry_id, uuid, item.block_index,
        coalesce(item.tool_use_id, 'block ' || item.block_index || ' of ' || entry_id)
            as tool_use_id,
        item.tool_name, item.payload_bytes as input_bytes,
        byte_offset + item.block_index as position
    from items
)

select * from final
