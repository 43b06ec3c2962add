{{ config(materialized='ephemeral') }}

with models as (
    select distinct model_id from {{ ref('int_model_prices') }}
),

final as (
    select
        models.model_id,
        factors.modifier,
        factors.value,
        factors.valid_from,
        factors.valid_to,
        factors.factor
    from models
    inner join {{ ref('stg_annals__price_factors') }} as factors
        on {{ matches('lower(models.model_id)', 'factors.model_pattern') }}
)

select * from final
