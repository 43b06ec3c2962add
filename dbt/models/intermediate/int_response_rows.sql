{{ config(materialized='touched_rows', post_hook="{{ note_sessions() }}") }}

{#- Few rows are kept and looked at again; all of them are read again instead. #}
{%- set known_rows = ref('stg_claude_code__entries') if builds_everything() else 'entries' %}
{%- set is_counted -%}
    ({{ is_conversation() }} or session_id in (select session_id from mixed))
{%- endset %}

with recursive touched_sessions as (
    select session_id from {{ ref('stg_annals__touched_sessions') }}
),

touched_messages as (
    select distinct message_id
    from {{ ref('stg_claude_code__entries') }}
    where
        message_id is not null
        and session_id in (select session_id from touched_sessions)
),

entries as (
    {% if builds_everything() -%}
    select * from {{ ref('stg_claude_code__entries') }}
    where message_id is not null
    {%- else -%}
    select *
    from {{ rows_where(
        ref('stg_claude_code__entries'), 'message_id in (select message_id from touched_messages)'
    ) }} as touched
    {%- endif %}
),

-- a record that is not of a conversation itself counts if another of its session is
unknown as (
    select distinct session_id
    from {{ known_rows }}
    where message_id is not null and not {{ is_conversation() }}
),

mixed as (
    select distinct session_id
    from {{ ref('stg_claude_code__entries') }}
    where session_id in (select session_id from unknown) and {{ is_conversation() }}
),

nameless as (
    select message_id, file_key, message_at, is_nested, uuid, fork_of_uuid
    from {{ known_rows }}
    where request_id is null and message_id is not null and {{ is_counted }}
),

-- some copies lack the request id that the same message has elsewhere
lent as (
    select
        message_id,
        case when min(request_id) = max(request_id) then min(request_id) end as request_id
    from {{ known_rows }}
    where
        message_id in (select message_id from nameless where {{ takes_request_id('nameless') }})
        and {{ is_counted }}
    group by message_id
),

-- without a request id, the first time that the file saw the message tells namesakes apart
first_seen as (
    select message_id, file_key, min(message_at) as first_seen_at
    from nameless
    group by message_id, file_key
),

{{ fork_origins() }},

identified as (
    select
        entries.*, seen.first_seen_at, coalesce(
            entries.request_id, case when {{ takes_request_id('entries') }} then lent.request_id end
        ) as key_request_id
    from entries
    left join lent on entries.message_id = lent.message_id
    left join seen on entries.message_id = seen.message_id and entries.file_key = seen.file_key
    where {{ is_counted }}
),

keyed as (
    select
        *,
        case when key_request_id is null then coalesce(model_id, 'unknown') end as key_model_id,
        case when key_request_id is null and not {{ is_vendor_id('message_id') }}
            then {{ microseconds('first_seen_at') }}
        end as key_microseconds
    from identified
),

final as (
    select
        {{ hash_key(['message_id', 'key_request_id', 'key_model_id', 'key_microseconds']) }}
            as response_key,
        entry_id, message_id, key_request_id as request_id,
        coalesce(model_id, 'unknown') as model_id, session_id, message_at,
        file_key, file_generation, byte_offset, is_subagent_file, is_nested,
        is_sidechain or is_nested or is_subagent_file as is_subagent, cwd, project_id,
        case when is_nested then coalesce(nested_uuid, 'nested') else uuid end as uuid,
        claude_version, context_window, iterations, steps, recorded_cost_nano_usd,
        has_usage and not is_api_error and coalesce(model_id, '') <> '<synthetic>' as is_billable,
        stop_reason, service_tier, speed, inference_geo,
        coalesce(input_tokens, 0) as input_tokens,
        coalesce(output_tokens, 0) as output_tokens,
        coalesce(cache_read_tokens, 0) as cache_read_tokens,
        greatest(
            coalesce(cache_creation_tokens, 0),
            coalesce(cache_5m_tokens, 0) + coalesce(cache_1h_tokens, 0)
        ) as cache_write_tokens,
        coalesce(cache_1h_tokens, 0) as cache_write_1h_tokens,
        coalesce(web_search_requests, 0) as web_search_requests,
        {{ list_where('content_blocks', "item.block_type like '%tool_use'") }} as tool_uses
    from keyed
)

select * from final
