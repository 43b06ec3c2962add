{{ config(
    pre_hook=[
        "{{ note_owners() }}",
        "{{ delete_touched('message_id', touched_messages()) }}"
    ],
    post_hook="{{ note_owners() }}"
) }}

{%- set by_owner = [
    'message_at', 'is_subagent_file', 'file_key', 'file_generation', 'byte_offset', 'entry_id'
] %}
{%- set by_amount = [
    'output_tokens', 'total_tokens', 'file_key', 'file_generation', 'byte_offset', 'entry_id'
] %}

with response_rows as (
    select
        *,
        input_tokens + output_tokens + cache_write_tokens + cache_read_tokens as total_tokens
    from {{ ref('int_response_rows') }}
    where is_billable
),

folded as (
    select
        response_key,
        {{ first_value_by('entry_id', by_owner) }} as owner_entry_id,
        {{ last_value_by('entry_id', by_amount) }} as best_entry_id,
        {{ last_value_by('stop_reason', by_amount) }} as stop_reason,
        count(stop_reason) > 0 as is_final,
        count(*) as row_count
    from response_rows
    group by response_key
),

final as (
    select
        folded.response_key,
        owner.message_id,
        owner.request_id,
        owner.session_id,
        best.model_id,
        owner.message_at as occurred_at,
        owner.is_subagent,
        owner.cwd,
        owner.project_id,
        owner.claude_version,
        best.input_tokens,
        best.output_tokens,
        best.cache_write_tokens,
        best.cache_write_tokens - best.cache_write_1h_tokens as cache_write_5m_tokens,
        best.cache_write_1h_tokens,
        best.cache_read_tokens,
        best.total_tokens,
        best.web_search_requests,
        best.service_tier,
        best.speed,
        best.inference_geo,
        folded.stop_reason,
        folded.is_final,
        folded.row_count,
        best.entry_id,
        best.file_key,
        best.byte_offset
    from folded
    inner join response_rows as owner on folded.owner_entry_id = owner.entry_id
    inner join response_rows as best on folded.best_entry_id = best.entry_id
)

select * from final
