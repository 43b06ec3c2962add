{{ config(pre_hook="{% if is_incremental() %}delete from {{ this }}{% endif %}") }}

with touched_sessions as (
    select session_id from {{ ref('stg_annals__touched_sessions') }}
),

entries as (
    select * from {{ ref('stg_claude_code__entries') }}
),

{% if is_incremental() -%}
touched as (
    select distinct message_id
    from entries
    where
        message_id is not null
        and session_id in (select session_id from touched_sessions)
),
{%- endif %}

response_rows as (
    select
        entry_id, message_id, request_id, coalesce(model_id, 'unknown') as model_id, session_id,
        message_at, file_key, file_generation, byte_offset, is_subagent_file, is_nested, uuid, cwd,
        is_sidechain or is_nested or is_subagent_file as is_subagent, project_id, claude_version,
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
        case when not is_nested
            then {{ list_where('content_blocks', "item.block_type = 'tool_use'") }}
        end as tool_uses
    from entries
    where
        {% if is_incremental() -%}
        message_id in (select message_id from touched)
        {%- else -%}
        message_id is not null
        {%- endif %}
),

-- a nested copy may lack the request id that the same message has elsewhere
lent as (
    select
        message_id,
        case when min(request_id) = max(request_id) then min(request_id) end as request_id
    from response_rows
    group by message_id
    having count(*) > count(request_id)
),

first_seen as (
    select message_id, file_key, min(message_at) as first_seen_at
    from response_rows
    group by message_id, file_key
    having count(*) > count(request_id)
),

identified as (
    select
        response_rows.*, first_seen.first_seen_at,
        coalesce(
            response_rows.request_id,
            case when response_rows.is_nested then lent.request_id end
        ) as key_request_id
    from response_rows
    left join lent on response_rows.message_id = lent.message_id
    -- without a request id, the first time that the file saw the message tells namesakes apart
    left join first_seen
        on
            response_rows.message_id = first_seen.message_id
            and response_rows.file_key = first_seen.file_key
),

keyed as (
    select
        *,
        case when key_request_id is null then model_id end as key_model_id,
        case when key_request_id is null
            then {{ microseconds('first_seen_at') }}
        end as key_microseconds
    from identified
),

final as (
    select
        {{ hash_key(['message_id', 'key_request_id', 'key_model_id', 'key_microseconds']) }}
            as response_key,
        entry_id, message_id, key_request_id as request_id, model_id, session_id, message_at,
        file_key, file_generation, byte_offset, is_subagent_file, is_nested, is_subagent, uuid,
        cwd, project_id, claude_version, is_billable, stop_reason, service_tier, speed,
        inference_geo, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens,
        cache_write_1h_tokens, web_search_requests, tool_uses
    from keyed
)

select * from final
