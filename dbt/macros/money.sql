{# Money is whole nano-dollars; a price is USD per million tokens, so tokens x price x 1000. #}

{# The cost of a response at a price; null where the price lacks what the response used. The factor
   of its modifiers is for tokens, not for searches. A cache write costs 1.25 (5 minutes) or 2 (1 hour) times the input, a cache read a tenth of it, a web
   search a cent, unless the price book says otherwise. #}
{% macro nano_usd(response, price, factor) -%}
    {%- set input = price ~ '.input_usd_per_million' -%}
    try_cast(round((
        {{ response }}.input_tokens * {{ input }} * 1000
        + {{ response }}.output_tokens * {{ price }}.output_usd_per_million * 1000
        + {{ response }}.cache_write_5m_tokens
        * coalesce({{ price }}.cache_write_5m_usd_per_million, {{ input }} * 1.25) * 1000
        + {{ response }}.cache_write_1h_tokens
        * coalesce({{ price }}.cache_write_1h_usd_per_million, {{ input }} * 2) * 1000
        + {{ response }}.cache_read_tokens
        * coalesce({{ price }}.cache_read_usd_per_million, {{ input }} * 0.1) * 1000
        ) * {{ factor }}
        + {{ response }}.web_search_requests
        * coalesce({{ price }}.web_search_usd_per_thousand, 10) * 1000000
    ) as bigint)
{%- endmacro %}

{# A text of USD as whole nano-dollars; null where it is not an amount. #}
{% macro nano_usd_of(column) -%}
    {{ return(adapter.dispatch('nano_usd_of')(column)) }}
{%- endmacro %}

{% macro default__nano_usd_of(column) -%}
    try_cast(round(try_cast({{ column }} as decimal(28, 12)) * 1000000000) as bigint)
{%- endmacro %}

{% macro duckdb__nano_usd_of(column) -%}
    try_cast(round(try_cast({{ column }} as decimal(28, 12)) * 1000000000) as bigint)
{%- endmacro %}

{# Nano-dollars as USD with nine decimal places. #}
{% macro usd(nano) -%}
    cast(cast({{ nano }} as decimal(28, 0)) * cast(0.000000001 as decimal(10, 9)) as decimal(18, 9))
{%- endmacro %}

{# Whether a price holds at an instant: its period is half open, its hours may span midnight. #}
{% macro is_price_in_force(price, instant) -%}
    ({{ price }}.valid_from is null or {{ price }}.valid_from <= {{ instant }})
    and ({{ price }}.valid_to is null or {{ price }}.valid_to > {{ instant }})
    and case
        when {{ price }}.daily_from is null or {{ price }}.daily_to is null then true
        when {{ price }}.daily_from <= {{ price }}.daily_to
            then {{ utc_time(instant) }} >= {{ price }}.daily_from
                and {{ utc_time(instant) }} < {{ price }}.daily_to
        else {{ utc_time(instant) }} >= {{ price }}.daily_from
            or {{ utc_time(instant) }} < {{ price }}.daily_to
    end
{%- endmacro %}

{# A sum that is missing on the other side of a left join is none. #}
{% macro count_or_zero(column) -%}
    cast(coalesce({{ column }}, 0) as bigint)
{%- endmacro %}

{# The cost of a group of responses: nothing where there are none, null where none has a price. #}
{% macro cost_or_zero(usage) -%}
    cast(case when {{ usage }}.api_responses > 0 then {{ usage }}.cost_nano_usd else 0 end as bigint)
{%- endmacro %}

{# Whether a row is of a response that was served: an attempt that its model declined has a cost, but
   its tokens are those of the same prompt again, and it is not a response. #}
{% macro is_served() -%}
    (quality <> 'declined')
{%- endmacro %}

{# A count that is none where the row is a declined attempt. #}
{% macro served(column) -%}
    case when {{ is_served() }} then {{ column }} else 0 end
{%- endmacro %}
