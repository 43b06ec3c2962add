{{ config(materialized='ephemeral') }}

select
    model_pattern,
    modifier,
    value,
    valid_from,
    valid_to,
    factor,
    source
from {{ source('annals', 'price_factors') }}
