{{ config(materialized='ephemeral') }}

select
    provider,
    model_rule,
    priority,
    match_all,
    valid_from,
    valid_to,
    daily_from,
    daily_to,
    speed,
    service_tier,
    threshold_tokens,
    input_usd_per_million,
    output_usd_per_million,
    cache_write_5m_usd_per_million,
    cache_write_1h_usd_per_million,
    cache_read_usd_per_million,
    web_search_usd_per_thousand,
    source,
    book_version
from {{ source('annals', 'model_prices') }}
