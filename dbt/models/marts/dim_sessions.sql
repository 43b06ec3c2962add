{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ delete_touched('session_id', touched_sessions()) }}"
) }}

{%- set touched -%}
    {% if is_incremental() -%}
    where session_id in (select session_id from touched_sessions)
    {%- endif %}
{%- endset %}
{%- set by_time = ['occurred_at', 'response_key'] %}
{%- set own_model = 'case when parent_response_key is null then model_id end' %}

with touched_sessions as (
    select session_id from {{ ref('stg_annals__touched_sessions') }}
),

sessions as (
    select * from {{ ref('int_sessions') }}
    {{ touched }}
),

messages as (
    select
        session_id,
        count(*) as messages,
        sum(cast(is_human_turn as integer)) as human_turns
    from {{ ref('int_messages') }}
    {{ touched }}
    group by session_id
),

responses as (
    select
        session_id,
        sum(cast({{ is_served() }} as integer)) as api_responses,
        sum(cast(is_subagent and {{ is_served() }} as integer)) as subagent_responses,
        sum({{ served('input_tokens') }}) as input_tokens,
        sum({{ served('output_tokens') }}) as output_tokens,
        sum({{ served('cache_write_tokens') }}) as cache_write_tokens,
        sum({{ served('cache_read_tokens') }}) as cache_read_tokens,
        sum({{ served('total_tokens') }}) as total_tokens,
        sum(cost_nano_usd) as cost_nano_usd,
        sum(cast(not is_final as integer)) as partial_responses,
        sum(cast(not is_priced as integer)) as unpriced_responses,
        {{ first_value_by(own_model, by_time) }} as first_model_id,
        {{ last_value_by(own_model, by_time) }} as last_model_id
    from {{ ref('fct_api_responses') }}
    {{ touched }}
    group by session_id
),

tool_calls as (
    select
        session_id,
        count(*) as tool_calls,
        sum(cast(coalesce(is_error, false) as integer)) as tool_errors
    from {{ ref('fct_tool_calls') }}
    {{ touched }}
    group by session_id
),

final as (
    select
        sessions.session_id,
        sessions.project_key,
        sessions.started_at,
        sessions.ended_at,
        sessions.entries,
        {{ count_or_zero('messages.human_turns') }} as human_turns,
        {{ count_or_zero('messages.messages') }} as messages,
        {{ count_or_zero('responses.api_responses') }} as api_responses,
        {{ count_or_zero('tool_calls.tool_calls') }} as tool_calls,
        {{ count_or_zero('responses.subagent_responses') }} as subagent_responses,
        {{ count_or_zero('responses.input_tokens') }} as input_tokens,
        {{ count_or_zero('responses.output_tokens') }} as output_tokens,
        {{ count_or_zero('responses.cache_write_tokens') }} as cache_write_tokens,
        {{ count_or_zero('responses.cache_read_tokens') }} as cache_read_tokens,
        {{ count_or_zero('responses.total_tokens') }} as total_tokens,
        {{ cost_or_zero('responses') }} as cost_nano_usd,
        {{ usd(cost_or_zero('responses')) }} as cost_usd,
        sessions.vendor_cost_nano_usd,
        {{ usd('sessions.vendor_cost_nano_usd') }} as vendor_cost_usd,
        sessions.vendor_cost_nano_usd - {{ cost_or_zero('responses') }}
            as vendor_difference_nano_usd,
        {{ count_or_zero('responses.partial_responses') }} as partial_responses,
        {{ count_or_zero('responses.unpriced_responses') }} as unpriced_responses,
        responses.first_model_id,
        responses.last_model_id,
        sessions.first_version,
        sessions.last_version,
        sessions.git_branch,
        sessions.host,
        sessions.active_minutes,
        sessions.api_errors,
        {{ count_or_zero('tool_calls.tool_errors') }} as tool_errors
    from sessions
    left join messages on sessions.session_id = messages.session_id
    left join responses on sessions.session_id = responses.session_id
    left join tool_calls on sessions.session_id = tool_calls.session_id
)

select * from final
