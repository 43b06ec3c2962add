{{ config(pre_hook="{{ delete_touched('message_id', touched_messages()) }}") }}

{%- set owner_order = [
    'message_at', 'is_subagent_file', 'file_key', 'file_generation', 'byte_offset', 'entry_id'
] | join(', ') %}
{%- set amount_order = [
    'output_tokens desc', 'input_tokens + cache_write_tokens + cache_read_tokens desc',
    'file_key desc', 'file_generation desc', 'byte_offset desc', 'entry_id desc'
] | join(', ') %}

-- Windows are sorted on disk if memory is short; an aggregate over whole rows stays in memory.
with ranked as (
    select
        response_key,
        entry_id,
        row_number() over (partition by response_key order by {{ owner_order }}) as owner_place,
        row_number() over (partition by response_key order by {{ amount_order }})
            as amount_place,
        first_value(stop_reason ignore nulls) over (
            partition by response_key
            order by {{ amount_order }}
            rows between unbounded preceding and unbounded following
        ) as stop_reason,
        count(*) over (partition by response_key) as row_count
    from {{ ref('int_response_rows') }}
    where is_billable
),

owners as (
    select
        ranked.response_key, rows.message_id, rows.request_id, rows.session_id, rows.message_at,
        rows.is_subagent, rows.cwd, rows.project_id, rows.claude_version
    from ranked
    inner join {{ ref('int_response_rows') }} as rows on ranked.entry_id = rows.entry_id
    where ranked.owner_place = 1
),

amounts as (
    select
        ranked.response_key, ranked.stop_reason, ranked.row_count, rows.entry_id, rows.model_id,
        rows.input_tokens, rows.output_tokens, rows.cache_write_tokens,
        rows.cache_write_1h_tokens, rows.cache_read_tokens, rows.web_search_requests,
        rows.service_tier, rows.speed, rows.inference_geo, rows.file_key, rows.byte_offset
    from ranked
    inner join {{ ref('int_response_rows') }} as rows on ranked.entry_id = rows.entry_id
    where ranked.amount_place = 1
),

final as (
    select
        owners.response_key,
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
        amounts.stop_reason,
        amounts.stop_reason is not null as is_final,
        amounts.row_count,
        amounts.entry_id,
        amounts.file_key,
        amounts.byte_offset
    from owners
    inner join amounts on owners.response_key = amounts.response_key
)

select * from final
