{{ config(pre_hook="{{ delete_touched('message_id', touched_messages()) }}") }}

{%- set of_both = [
    'message_id', 'request_id', 'session_id', 'message_at', 'is_subagent', 'cwd', 'project_id',
    'claude_version', 'service_tier', 'inference_geo', 'stop_reason', 'entry_id', 'file_key',
    'byte_offset'
] | join(', ') %}
{%- set tokens = [
    'input_tokens', 'output_tokens', 'cache_write_tokens', 'cache_write_1h_tokens',
    'cache_read_tokens'
] %}

with responses as (
    select * from {{ ref('int_folded_responses') }}
),

stepped as (
    select * from responses where {{ list_size('steps') }} > 0
),

items as (
    {{ list_rows('stepped', 'steps', [
        'response_key', 'model_id', 'speed', 'context_window', of_both
    ]) }}
),

-- what such a step used is not in the totals of its response; what speed another model had is
-- not recorded
steps as (
    select
        {{ hash_key(['response_key', 'item.place', 'item.type']) }} as response_key,
        {{ of_both }},
        coalesce(item.model_id, model_id) as model_id,
        case when coalesce(item.model_id, model_id) = model_id then speed end as speed,
        case when item.model_id is null then context_window else item.context_window end
            as context_window,
        item.{{ tokens | join(', item.') }}, 0 as web_search_requests,
        cast(null as bigint) as recorded_cost_nano_usd, 1 as row_count,
        response_key as parent_response_key, item.type as step_type, item.place as step_place,
        item.is_declined
    from items
),

parts as (
    select
        response_key, {{ of_both }}, model_id, speed, context_window,
        {{ tokens | join(', ') }}, web_search_requests, recorded_cost_nano_usd, row_count,
        cast(null as varchar) as parent_response_key, cast(null as varchar) as step_type,
        cast(null as bigint) as step_place, false as is_declined
    from responses
    union all
    select * from steps
),

final as (
    select
        response_key, message_id, request_id, session_id, model_id, message_at as occurred_at,
        is_subagent, cwd, project_id, claude_version, input_tokens, output_tokens,
        cache_write_tokens, cache_write_tokens - cache_write_1h_tokens as cache_write_5m_tokens,
        cache_write_1h_tokens, cache_read_tokens,
        input_tokens + output_tokens + cache_write_tokens + cache_read_tokens as total_tokens,
        web_search_requests, service_tier, speed, inference_geo, context_window, stop_reason,
        stop_reason is not null or is_declined as is_final, is_declined,
        parent_response_key, step_type, step_place, recorded_cost_nano_usd,
        cast(row_count as bigint) as row_count,
        entry_id, file_key, byte_offset
    from parts
)

select * from final
