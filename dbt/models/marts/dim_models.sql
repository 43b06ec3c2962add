with responses as (
    select
        model_id,
        bool_or(is_priced) as is_priced,
        min(occurred_at) as first_used_at,
        max(occurred_at) as last_used_at
    from {{ ref('fct_api_responses') }}
    group by model_id
),

rules as (
    select
        model_id,
        {{ first_value_by('provider', ['priority', 'price_key']) }} as provider,
        {{ first_value_by('model_rule', ['priority', 'price_key']) }} as model_rule
    from {{ ref('int_model_prices') }}
    group by model_id
),

final as (
    select
        responses.model_id,
        rules.provider,
        rules.model_rule,
        responses.is_priced,
        responses.first_used_at,
        responses.last_used_at
    from responses
    left join rules on responses.model_id = rules.model_id
)

select * from final
