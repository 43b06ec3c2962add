{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook=[
        "{{ note_days() }}",
        "{{ delete_touched('session_id', touched_sessions()) }}"
    ],
    post_hook="{{ note_days() }}"
) }}

with touched_sessions as (
    select session_id from {{ ref('stg_annals__touched_sessions') }}
),

responses as (
    select *, {{ local_date('occurred_at') }} as usage_date
    from {{ rows_of_touched_sessions(ref('int_api_responses')) }} as touched
),

sessions as (
    select session_id, project_key from {{ ref('int_sessions') }}
),

-- which of two prices counts does not depend on the response
prices as (
    select
        *,
        row_number() over (
            partition by model_id
            order by
                priority, threshold_tokens desc, valid_from desc nulls last,
                daily_from desc nulls last, price_key
        ) as price_rank
    from {{ ref('int_model_prices') }}
),

-- of the prices in force at the time, the rule of least priority; of its bands, the highest reached
chosen as (
    select responses.response_key, min(prices.price_rank) as price_rank
    from {{ 'responses' if is_incremental() else ref('int_api_responses') ~ ' as responses' }}
    inner join prices
        on
            responses.model_id = prices.model_id
            and {{ is_price_in_force('prices', 'responses.occurred_at') }}
            and (prices.speed is null or prices.speed = lower(responses.speed))
            and (prices.service_tier is null or prices.service_tier = lower(responses.service_tier))
            and (
                prices.threshold_tokens = 0
                or responses.input_tokens + responses.cache_read_tokens
                + responses.cache_write_tokens > prices.threshold_tokens
            )
    group by responses.response_key
),

modified as (
    select response_key, model_id, occurred_at, {{ price_modifiers() | join(', ') }}
    from responses
    where {{ is_modified('responses') }}
),

factored as (
    select modified.response_key, {{ factor_columns('factors') }}
    from modified
    inner join {{ ref('int_price_factors') }} as factors
        on
            modified.model_id = factors.model_id
            and factors.value = {{ stated_value('modified', 'factors.modifier') }}
            and (factors.valid_from is null or factors.valid_from <= modified.occurred_at)
            and (factors.valid_to is null or factors.valid_to > modified.occurred_at)
    group by modified.response_key
),

priced as (
    select
        responses.*, sessions.project_key, prices.book_version as price_version,
        prices.provider as price_provider, prices.model_rule as price_rule,
        {{ price_factor('responses', 'prices', 'factored') }} as price_factor,
        {{ nano_usd('responses', 'prices', price_factor('responses', 'prices', 'factored')) }}
            as price_nano_usd
    from responses
    left join chosen on responses.response_key = chosen.response_key
    left join prices
        on responses.model_id = prices.model_id and chosen.price_rank = prices.price_rank
    left join factored on responses.response_key = factored.response_key
    left join sessions on responses.session_id = sessions.session_id
),

-- an attempt that was declined before it said anything is not charged
costed as (
    select
        *, case when is_declined and output_tokens = 0 then 0 else price_nano_usd end
            as cost_nano_usd
    from priced
),

final as (
    select
        response_key, message_id, request_id, session_id,
        project_key, model_id, occurred_at, usage_date, input_tokens, output_tokens,
        cache_write_tokens, cache_write_5m_tokens, cache_write_1h_tokens, cache_read_tokens,
        total_tokens, web_search_requests, is_subagent, is_final,
        cost_nano_usd is not null as is_priced,
        case
            when is_declined then 'declined'
            when cost_nano_usd is null then 'unpriced'
            when is_final then 'final'
            else 'partial'
        end as quality,
        stop_reason, service_tier, speed, inference_geo, context_window, claude_version,
        parent_response_key, step_type, step_place, row_count, cost_nano_usd,
        {{ usd('cost_nano_usd') }} as cost_usd, recorded_cost_nano_usd,
        case when cost_nano_usd is not null then price_version end as price_version,
        case when cost_nano_usd is not null then price_provider end as price_provider,
        case when cost_nano_usd is not null then price_rule end as price_rule,
        case when cost_nano_usd is not null then price_factor end as price_factor,
        entry_id, file_key, byte_offset
    from costed
)

select * from final
