with responses as (
    select distinct model_id from {{ ref('int_api_responses') }}
    {% if is_incremental() -%}
    where model_id not in (select model_id from {{ this }})
    {%- endif %}
),

prices as (
    select * from {{ ref('stg_annals__model_prices') }}
),

patterns as (
    select distinct match_all from prices
),

matched as (
    select responses.model_id, patterns.match_all
    from responses
    inner join patterns
        on {{ list_count_where(
            'patterns.match_all', 'not ' ~ matches('lower(responses.model_id)', 'item')
        ) }} = 0
),

candidates as (
    select
        matched.model_id,
        prices.*
    from matched
    inner join prices on matched.match_all = prices.match_all
),

-- below a rule that holds at any time nothing can count
floors as (
    select model_id, min(priority) as priority
    from candidates
    where
        threshold_tokens = 0 and valid_from is null and valid_to is null and daily_from is null
        and daily_to is null and speed is null and service_tier is null
    group by model_id
),

final as (
    select
        responses.model_id,
        {{ hash_key([
            'responses.model_id', 'candidates.provider', 'candidates.model_rule',
            'candidates.priority', microseconds('candidates.valid_from'),
            'candidates.daily_from', 'candidates.speed', 'candidates.service_tier',
            'candidates.threshold_tokens'
        ]) }} as price_key,
        candidates.provider, candidates.model_rule, candidates.priority, candidates.valid_from,
        candidates.valid_to, candidates.daily_from, candidates.daily_to,
        candidates.speed, candidates.service_tier, candidates.threshold_tokens,
        candidates.input_usd_per_million,
        candidates.output_usd_per_million, candidates.cache_write_5m_usd_per_million,
        candidates.cache_write_1h_usd_per_million, candidates.cache_read_usd_per_million,
        candidates.web_search_usd_per_thousand, candidates.source, candidates.book_version
    from responses
    left join candidates on responses.model_id = candidates.model_id
    left join floors on responses.model_id = floors.model_id
    where
        candidates.priority is null
        or floors.priority is null
        or candidates.priority <= floors.priority
)

select * from final
