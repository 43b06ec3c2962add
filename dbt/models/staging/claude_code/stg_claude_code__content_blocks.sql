{{ config(materialized='view', tags='static') }}

with entries as (
    select * from {{ ref('stg_claude_code__entries') }}
),

items as (
    {{ list_rows('entries', 'content_blocks', ['entry_id', 'session_id', 'occurred_at']) }}
),

final as (
    select
        {{ hash_key(['entry_id', 'item.block_index']) }} as block_key,
        entry_id,
        session_id,
        occurred_at,
        item.block_index,
        item.block_type,
        item.tool_use_id,
        item.tool_name,
        item.is_error,
        item.payload_bytes
    from items
)

select * from final
