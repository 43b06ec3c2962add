{{ config(materialized='ephemeral') }}

with response_rows as (
    select * from {{ ref('int_response_rows') }}
    where {{ list_size('tool_uses') }} > 0
),

items as (
    {{ list_rows('response_rows', 'tool_uses', [
        'response_key', 'message_id', 'session_id', 'message_at', 'is_subagent_file',
        'is_subagent', 'file_key', 'file_generation', 'byte_offset', 'entry_id', 'uuid', 'cwd',
        'project_id'
    ]) }}
),

uses as (
    select
        {{ hash_key(['entry_id', 'item.block_index']) }} as use_key,
        response_key, message_id, session_id, message_at as called_at, is_subagent_file,
        is_subagent, file_key, file_generation, entry_id, cwd, project_id, item.tool_name,
        byte_offset + item.block_index as position, item.payload_bytes as input_bytes,
        coalesce(item.tool_use_id, 'block ' || item.block_index) as tool_use_id,
        -- a record repeated within its file is one use
        row_number() over (
            partition by
                response_key, item.tool_use_id, file_key, file_generation,
                coalesce(uuid, entry_id), item.block_index
            order by byte_offset, entry_id
        ) as repetition
    from items
),

-- some gateways give several calls of a response the same id
final as (
    select
        *,
        row_number() over (
            partition by response_key, tool_use_id, file_key, file_generation
            order by position, entry_id
        ) as ordinal
    from uses
    where repetition = 1
)

select * from final
