{{ config(materialized='ephemeral') }}

{%- set owner_order = [
    'message_at', 'is_subagent_file', 'file_key', 'file_generation', 'byte_offset', 'entry_id'
] | join(', ') %}
{%- set amount_order = [
    'iterations desc', 'output_tokens desc',
    'input_tokens + cache_write_tokens + cache_read_tokens desc',
    'file_key desc', 'file_generation desc', 'byte_offset desc', 'entry_id desc'
] | join(', ') %}
{%- set of_owner = [
    'message_id', 'request_id', 'session_id', 'message_at', 'is_subagent', 'cwd', 'project_id',
    'claude_version'
] %}
{%- set of_amount = [
    'entry_id', 'model_id', 'input_tokens', 'output_tokens', 'cache_write_tokens',
    'cache_write_1h_tokens', 'cache_read_tokens', 'web_search_requests', 'service_tier', 'speed',
    'inference_geo', 'context_window', 'steps', 'file_key', 'byte_offset'
] %}

with billable as (
    select * from {{ ref('int_response_rows') }}
    where is_billable
),

copied as (
    select message_id
    from billable
    group by message_id
    having count(*) > 1
),

-- a response of one row has nothing to rank
single as (
    select
        response_key, {{ (of_owner + of_amount) | join(', ') }}, stop_reason,
        recorded_cost_nano_usd, 1 as row_count
    from billable
    where message_id not in (select message_id from copied)
),

-- Windows are sorted on disk if memory is short; an aggregate over whole rows stays in memory.
ranked as (
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
        max(recorded_cost_nano_usd) over (partition by response_key) as recorded_cost_nano_usd,
        count(*) over (partition by response_key) as row_count
    from billable
    where message_id in (select message_id from copied)
),

owners as (
    select ranked.response_key, billable.{{ of_owner | join(', billable.') }}
    from ranked
    inner join billable on ranked.entry_id = billable.entry_id
    where ranked.owner_place = 1
),

amounts as (
    select
        ranked.response_key, billable.{{ of_amount | join(', billable.') }},
        ranked.stop_reason, ranked.recorded_cost_nano_usd, ranked.row_count
    from ranked
    inner join billable on ranked.entry_id = billable.entry_id
    where ranked.amount_place = 1
),

folded as (
    select
        owners.response_key, owners.{{ of_owner | join(', owners.') }},
        amounts.{{ of_amount | join(', amounts.') }}, amounts.stop_reason,
        amounts.recorded_cost_nano_usd, amounts.row_count
    from owners
    inner join amounts on owners.response_key = amounts.response_key
),

final as (
    select * from single
    union all
    select * from folded
)

select * from final
