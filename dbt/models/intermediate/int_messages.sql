{{ config(pre_hook="{{ delete_touched('session_id', touched_sessions()) }}") }}

{%- set is_message = "(entry_type in ('user', 'assistant') or is_human_turn)" %}

with copied as (
    select uuid
    from {{ ref('int_touched_entries') }}
    where uuid is not null and {{ is_message }}
    group by uuid
    having count(*) > 1
),

ranked as (
    select
        entry_id,
        row_number() over (
            partition by session_id, uuid
            order by is_subagent_file, file_key, file_generation, byte_offset, entry_id
        ) as place
    from {{ ref('int_touched_entries') }}
    where {{ is_message }} and uuid in (select uuid from copied)
),

-- a record copied within its session counts once
others as (
    select entry_id from ranked where place > 1
),

messages as (
    select
        session_id, occurred_at, is_human_turn, is_sidechain, is_meta, is_compact_summary,
        model_id, message_id, request_id,
        case when entry_type = 'assistant' then 'assistant' else 'user' end as role,
        case when message_id is null then coalesce(uuid, entry_id) end as own_id,
        {{ list_count_where('content_blocks', "item.block_type = 'text'") }} as text_blocks,
        {{ list_count_where('content_blocks', "item.block_type like '%thinking'") }}
            as thinking_blocks,
        {{ list_count_where('content_blocks', "item.block_type = 'tool_use'") }} as tool_use_blocks,
        {{ list_count_where('content_blocks', "item.block_type = 'tool_result'") }}
            as tool_result_blocks,
        {{ list_size('content_blocks') }} as blocks
    from {{ ref('int_touched_entries') }}
    where {{ is_message }} and entry_id not in (select entry_id from others)
),

repeated as (
    select message_id
    from messages
    where message_id is not null
    group by message_id
    having count(*) > 1
),

single as (
    select
        {{ hash_key(['session_id', 'role', 'message_id', 'request_id', 'own_id']) }}
            as message_key,
        session_id, role, message_id, request_id,
        occurred_at as started_at,
        occurred_at as ended_at,
        1 as entries,
        is_human_turn, is_sidechain, is_meta, is_compact_summary, model_id, text_blocks,
        thinking_blocks, tool_use_blocks, tool_result_blocks, blocks
    from messages
    where message_id is null or message_id not in (select message_id from repeated)
),

-- an answer has a row for each of its content blocks
folded as (
    select
        {{ hash_key(['session_id', 'role', 'message_id', 'request_id', 'null']) }}
            as message_key,
        session_id, role, message_id, request_id,
        min(occurred_at) as started_at,
        max(occurred_at) as ended_at,
        count(*) as entries,
        bool_or(is_human_turn) as is_human_turn,
        bool_or(is_sidechain) as is_sidechain,
        bool_or(is_meta) as is_meta,
        bool_or(is_compact_summary) as is_compact_summary,
        min(model_id) as model_id,
        sum(text_blocks) as text_blocks,
        sum(thinking_blocks) as thinking_blocks,
        sum(tool_use_blocks) as tool_use_blocks,
        sum(tool_result_blocks) as tool_result_blocks,
        sum(blocks) as blocks
    from messages
    where message_id in (select message_id from repeated)
    group by session_id, role, message_id, request_id
),

final as (
    select
        message_key, session_id, role, message_id, request_id, started_at, ended_at,
        cast(entries as bigint) as entries,
        is_human_turn, is_sidechain, is_meta, is_compact_summary, model_id,
        cast(text_blocks as bigint) as text_blocks,
        cast(thinking_blocks as bigint) as thinking_blocks,
        cast(tool_use_blocks as bigint) as tool_use_blocks,
        cast(tool_result_blocks as bigint) as tool_result_blocks,
        cast(blocks as bigint) as blocks
    from (
        select * from single
        union all
        select * from folded
    ) as counted
)

select * from final
