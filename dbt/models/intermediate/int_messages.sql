{{ config(pre_hook="{{ delete_touched('session_id', touched_sessions()) }}") }}

{%- set by_place = [
    'is_subagent_file', 'file_key', 'file_generation', 'byte_offset', 'entry_id'
] %}

with touched_sessions as (
    select session_id from {{ ref('stg_annals__touched_sessions') }}
),

entries as (
    select * from {{ ref('stg_claude_code__entries') }}
    where
        (entry_type in ('user', 'assistant') or is_human_turn)
        {% if is_incremental() -%}
        and session_id in (select session_id from touched_sessions)
        {%- endif %}
),

-- a record copied within its session counts once
originals as (
    select {{ first_value_by('entry_id', by_place) }} as entry_id
    from entries
    group by session_id, coalesce(uuid, entry_id)
),

kept as (
    select
        session_id, occurred_at, entry_id, is_human_turn, is_sidechain, is_meta,
        is_compact_summary, model_id, message_id, request_id,
        case when entry_type = 'assistant' then 'assistant' else 'user' end as role,
        case when entry_type = 'assistant' then null else coalesce(uuid, entry_id) end as own_id,
        {{ list_count_where('content_blocks', "item.block_type = 'text'") }} as text_blocks,
        {{ list_count_where('content_blocks', "item.block_type in ('thinking', 'redacted_thinking')") }}
            as thinking_blocks,
        {{ list_count_where('content_blocks', "item.block_type = 'tool_use'") }} as tool_use_blocks,
        {{ list_count_where('content_blocks', "item.block_type = 'tool_result'") }}
            as tool_result_blocks,
        {{ list_size('content_blocks') }} as blocks
    from entries
    where entry_id in (select entry_id from originals)
),

final as (
    select
        {{ hash_key(['session_id', 'message_id', 'request_id', 'own_id']) }} as message_key,
        session_id, role, message_id, request_id,
        min(occurred_at) as started_at,
        max(occurred_at) as ended_at,
        count(*) as entries,
        bool_or(is_human_turn) as is_human_turn,
        bool_or(is_sidechain) as is_sidechain,
        bool_or(is_meta) as is_meta,
        bool_or(is_compact_summary) as is_compact_summary,
        min(model_id) as model_id,
        sum(text_blocks)::bigint as text_blocks,
        sum(thinking_blocks)::bigint as thinking_blocks,
        sum(tool_use_blocks)::bigint as tool_use_blocks,
        sum(tool_result_blocks)::bigint as tool_result_blocks,
        sum(blocks)::bigint as blocks
    from kept
    group by session_id, role, message_id, request_id, own_id
)

select * from final
