{{ config(pre_hook="{{ delete_touched('message_id', touched_messages()) }}") }}

{%- set by_owner = [
    'message_at', 'is_subagent_file', 'file_key', 'file_generation', 'byte_offset', 'entry_id'
] %}
{%- set by_amount = [
    'output_tokens', 'input_tokens + cache_write_tokens + cache_read_tokens', 'file_key',
    'file_generation', 'byte_offset', 'entry_id'
] %}

with owners as (
    select
        entry_id, message_id, request_id, session_id, message_at, is_subagent, cwd, project_id,
        claude_version
    from {{ ref('int_response_rows') }}
),

amounts as (
    select
        entry_id, model_id, input_tokens, output_tokens, cache_write_tokens, cache_write_1h_tokens,
        cache_read_tokens, web_search_requests, service_tier, speed, inference_geo, file_key,
        byte_offset
    from {{ ref('int_response_rows') }}
),

folded as (
    select
        response_key,
        {{ first_value_by('entry_id', by_owner) }} as owner_entry_id,
        {{ last_value_by('entry_id', by_amount) }} as best_entry_id,
        {{ last_value_by('stop_reason', by_amount) }} as stop_reason,
        count(stop_reason) > 0 as is_final,
        count(*) as row_count
    from {{ ref('int_response_rows') }}
    where is_billable
    group by response_key
),

final as (
    select
        folded.response_key,
        owners.message_id,
        owners.request_id,
        owners.session_id,
        amounts.model_id,
        owners.message_at as occurred_at,
        owners.is_subagent,
        owners.cwd,
        owners.project_id,
        owners.claude_version,
        amounts.input_tokens,
        amounts.output_tokens,
        amounts.cache_write_tokens,
        amounts.cache_write_tokens - amounts.cache_write_1h_tokens as cache_write_5m_tokens,
        amounts.cache_write_1h_tokens,
        amounts.cache_read_tokens,
        amounts.input_tokens + amounts.output_tokens + amounts.cache_write_tokens
        + amounts.cache_read_tokens as total_tokens,
        amounts.web_search_requests,
        amounts.service_tier,
        amounts.speed,
        amounts.inference_geo,
        folded.stop_reason,
        folded.is_final,
        folded.row_count,
        amounts.entry_id,
        amounts.file_key,
        amounts.byte_offset
    from folded
    inner join owners on folded.owner_entry_id = owners.entry_id
    inner join amounts on folded.best_entry_id = amounts.entry_id
)

select * from final
