{# Calendar parts of a day, all as integers; weeks and days of the week as ISO 8601 has them. #}

{% macro date_rows(first, last) -%}
    {{ return(adapter.dispatch('date_rows')(first, last)) }}
{%- endmacro %}

{% macro default__date_rows(first, last) -%}
    select explode(sequence(date '{{ first }}', date '{{ last }}')) as date_day
{%- endmacro %}

{% macro duckdb__date_rows(first, last) -%}
    select cast(day as date) as date_day
    from range(date '{{ first }}', date '{{ last }}' + interval 1 day, interval 1 day) as days(day)
{%- endmacro %}

{% macro date_part(part, column) -%}
    {{ return(adapter.dispatch('date_part')(part, column)) }}
{%- endmacro %}

{% macro default__date_part(part, column) -%}
    cast(extract({{ part }} from {{ column }}) as integer)
{%- endmacro %}

{% macro duckdb__date_part(part, column) -%}
    cast(extract({{ part }} from {{ column }}) as integer)
{%- endmacro %}

{% macro iso_week(column) -%}
    {{ return(adapter.dispatch('iso_week')(column)) }}
{%- endmacro %}

{% macro default__iso_week(column) -%}
    cast(extract(week from {{ column }}) as integer)
{%- endmacro %}

{% macro duckdb__iso_week(column) -%}
    cast(week({{ column }}) as integer)
{%- endmacro %}

{% macro iso_day_of_week(column) -%}
    {{ return(adapter.dispatch('iso_day_of_week')(column)) }}
{%- endmacro %}

{% macro default__iso_day_of_week(column) -%}
    cast(extract(dayofweek_iso from {{ column }}) as integer)
{%- endmacro %}

{% macro duckdb__iso_day_of_week(column) -%}
    cast(isodow({{ column }}) as integer)
{%- endmacro %}

{% macro day_name(column) -%}
    {{ return(adapter.dispatch('day_name')(column)) }}
{%- endmacro %}

{% macro default__day_name(column) -%}
    date_format({{ column }}, 'EEEE')
{%- endmacro %}

{% macro duckdb__day_name(column) -%}
    dayname({{ column }})
{%- endmacro %}
