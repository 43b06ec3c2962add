{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ delete_touched_days() }}"
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
        cast(sum(cast({{ is_served() }} as integer)) as bigint) as api_responses,
        cast(sum({{ served('input_tokens') }}) as bigint) as input_tokens,
        cast(sum({{ served('output_tokens') }}) as bigint) as output_tokens,
        cast(sum({{ served('cache_write_tokens') }}) as bigint) as cache_write_tokens,
        cast(sum({{ served('cache_write_5m_tokens') }}) as bigint) as cache_write_5m_tokens,
        cast(sum({{ served('cache_write_1h_tokens') }}) as bigint) as cache_write_1h_tokens,
        cast(sum({{ served('cache_read_tokens') }}) as bigint) as cache_read_tokens,
        cast(sum({{ served('total_tokens') }}) as bigint) as total_tokens,
        cast(sum(web_search_requests) as bigint) as web_search_requests,
        cast(sum(cost_nano_usd) as bigint) as cost_nano_usd,
        {{ usd('sum(cost_nano_usd)') }} as cost_usd,
        cast(sum(cast(not is_final as integer)) as bigint) as partial_responses,
        cast(sum(case when is_final then 0 else {{ served('output_tokens') }} end) as bigint)
            as partial_output_tokens,
        cast(sum(cast(not is_priced as integer)) as bigint) as unpriced_responses,
        cast(sum(case when is_priced then 0 else {{ served('total_tokens') }} end) as bigint)
            as unpriced_tokens,
        cast(sum(cast(not {{ is_served() }} as integer)) as bigint) as declined_attempts,
        cast(sum(total_tokens) - sum({{ served('total_tokens') }}) as bigint) as declined_tokens
    from responses
    group by usage_date, project_key, model_id, is_subagent
)

select * from final
