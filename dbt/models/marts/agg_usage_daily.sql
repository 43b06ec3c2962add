{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{% if is_incremental() %}delete from {{ this }} where {{ is_touched_day(source('annals', 'pending_days')) }}{% endif %}"
) }}

with touched_days as (
    select usage_date from {{ ref('stg_annals__touched_days') }}
),

responses as (
    select * from {{ ref('fct_api_responses') }}
    {% if is_incremental() -%}
    where {{ is_touched_day('touched_days') }}
    {%- endif %}
),

final as (
    select
        usage_date,
        project_key,
        model_id,
        is_subagent,
        count(*) as api_responses,
        sum(input_tokens)::bigint as input_tokens,
        sum(output_tokens)::bigint as output_tokens,
        sum(cache_write_tokens)::bigint as cache_write_tokens,
        sum(cache_write_5m_tokens)::bigint as cache_write_5m_tokens,
        sum(cache_write_1h_tokens)::bigint as cache_write_1h_tokens,
        sum(cache_read_tokens)::bigint as cache_read_tokens,
        sum(total_tokens)::bigint as total_tokens,
        sum(web_search_requests)::bigint as web_search_requests,
        sum(cost_nano_usd)::bigint as cost_nano_usd,
        {{ usd('sum(cost_nano_usd)') }} as cost_usd,
        sum(cast(not is_final as integer))::bigint as partial_responses,
        sum(case when is_final then 0 else output_tokens end)::bigint as partial_output_tokens,
        sum(cast(not is_priced as integer))::bigint as unpriced_responses,
        sum(case when is_priced then 0 else total_tokens end)::bigint as unpriced_tokens
    from responses
    group by usage_date, project_key, model_id, is_subagent
)

select * from final
