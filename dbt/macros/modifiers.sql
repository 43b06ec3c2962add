{# What a transcript states of a request that changes its price (docs/specs/accounting.md, A-07). #}

{# The modifiers by column, each with the values that mean the standard price. #}
{% macro price_modifiers() -%}
    {{ return({
        'speed': ['', 'standard'],
        'service_tier': ['', 'standard', 'default'],
        'inference_geo': ['', 'not_available', 'global'],
        'context_window': ['']
    }) }}
{%- endmacro %}

{% macro is_standard(column, name) -%}
    coalesce(lower({{ column }}), '') in ('{{ price_modifiers()[name] | join("', '") }}')
{%- endmacro %}

{# Whether a response states any modifier that is not the standard. #}
{% macro is_modified(response) -%}
    {%- for name in price_modifiers() -%}
        {{ ' or ' if not loop.first }}not {{ is_standard(response ~ '.' ~ name, name) }}
    {%- endfor -%}
{%- endmacro %}

{# The value of a response for the modifier that a row of factors is about. #}
{% macro stated_value(response, modifier) -%}
    case {{ modifier }}
        {%- for name in price_modifiers() %}
        when '{{ name }}' then lower({{ response }}.{{ name }})
        {%- endfor %}
    end
{%- endmacro %}

{# One column for each modifier: its factor, null where the book has none. #}
{% macro factor_columns(factors) -%}
    {%- for name in price_modifiers() -%}
        max(case when {{ factors }}.modifier = '{{ name }}' then {{ factors }}.factor end)
            as {{ name }}_factor{{ ',' if not loop.last }}
    {% endfor -%}
{%- endmacro %}

{# The product of the factors; null where one is missing that the price does not include. #}
{% macro price_factor(response, price, factored) -%}
    cast(
    {%- for name in price_modifiers() -%}
        {{ ' * ' if not loop.first }}case
            when {{ is_standard(response ~ '.' ~ name, name) }} then 1
            {%- if name in ('speed', 'service_tier') %}
            when {{ price }}.{{ name }} is not null then 1
            {%- endif %}
            else {{ factored }}.{{ name }}_factor
        end
    {%- endfor %} as decimal(12, 6))
{%- endmacro %}
