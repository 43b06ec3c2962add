{{ config(materialized='view', tags='static') }}

{%- set counts = {
    'vendor_input_tokens': 'inputTokens',
    'vendor_output_tokens': 'outputTokens',
    'vendor_cache_write_tokens': 'cacheCreationInputTokens',
    'vendor_cache_read_tokens': 'cacheReadInputTokens',
    'vendor_web_search_requests': 'webSearchRequests'
} %}
{%- set usage = json_members(
    readable_json('vendor_usage'), counts.values() | list + ['costUSD']
) %}

with sessions as (
    select session_id, {{ usage }} as vendor_models
    from {{ ref('int_sessions') }}
    where vendor_usage is not null
),

items as (
    {{ list_rows('sessions', 'vendor_models', ['session_id']) }}
),

vendor as (
    select
        session_id,
        {{ bare_model('item.key') }} as model_id,
        {% for name, field in counts.items() -%}
        sum({{ counted_tokens('item.value.' ~ field) }}) as {{ name }},
        {% endfor -%}
        sum({{ nano_usd_of('item.value.costUSD') }}) as vendor_cost_nano_usd
    from items
    group by session_id, {{ bare_model('item.key') }}
),

ours as (
    select
        session_id,
        model_id,
        count(*) as api_responses,
        sum(total_tokens) as total_tokens,
        sum(cost_nano_usd) as cost_nano_usd
    from {{ ref('fct_api_responses') }}
    where session_id in (select session_id from sessions)
    group by session_id, model_id
),

final as (
    select
        cast(coalesce(vendor.session_id, ours.session_id) as varchar) as session_id,
        cast(coalesce(vendor.model_id, ours.model_id) as varchar) as model_id,
        {% for name in counts -%}
        {{ count_or_zero('vendor.' ~ name) }} as {{ name }},
        {% endfor -%}
        {{ count_or_zero('ours.total_tokens') }} as total_tokens,
        {{ count_or_zero('vendor.vendor_cost_nano_usd') }} as vendor_cost_nano_usd,
        {{ cost_or_zero('ours') }} as cost_nano_usd,
        {{ count_or_zero('vendor.vendor_cost_nano_usd') }} - {{ cost_or_zero('ours') }}
            as difference_nano_usd
    from vendor
    full join ours on vendor.session_id = ours.session_id and vendor.model_id = ours.model_id
)

select * from final
