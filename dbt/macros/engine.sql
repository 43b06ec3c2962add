{# Small things every engine spells in its own way. #}

{# A key of 32 hexadecimal digits from columns. Lengths keep neighbours apart, a dash stands for
   null. #}
{% macro hash_key(columns) -%}
    {%- set parts = [] -%}
    {%- for column in columns -%}
        {%- do parts.append(hash_part(column)) -%}
    {%- endfor -%}
    md5(concat_ws('|', {{ parts | join(', ') }}))
{%- endmacro %}

{% macro hash_part(column) -%}
    {{ return(adapter.dispatch('hash_part')(column)) }}
{%- endmacro %}

{% macro default__hash_part(column) -%}
    coalesce(concat(octet_length(cast({{ column }} as string)), ':', {{ column }}), '-')
{%- endmacro %}

{% macro duckdb__hash_part(column) -%}
    coalesce(strlen({{ column }}::varchar) || ':' || {{ column }}::varchar, '-')
{%- endmacro %}

{# The calendar day of an instant in the user's time zone. #}
{% macro local_date(column) -%}
    {{ return(adapter.dispatch('local_date')(column)) }}
{%- endmacro %}

{% macro default__local_date(column) -%}
    cast(from_utc_timestamp({{ column }}, '{{ time_zone() }}') as date)
{%- endmacro %}

{% macro duckdb__local_date(column) -%}
    cast(timezone('{{ time_zone() }}', {{ column }}) as date)
{%- endmacro %}

{% macro time_zone() -%}
    {{ return(var('timezone', env_var('TIMEZONE', 'UTC')) | replace("'", '')) }}
{%- endmacro %}

{# The time of day of an instant, in UTC. #}
{% macro utc_time(column) -%}
    {{ return(adapter.dispatch('utc_time')(column)) }}
{%- endmacro %}

{% macro default__utc_time(column) -%}
    date_format({{ column }}, 'HH:mm:ss.SSSSSS')
{%- endmacro %}

{% macro duckdb__utc_time(column) -%}
    cast(timezone('UTC', {{ column }}) as time)
{%- endmacro %}

{# Milliseconds from one instant to another; negative where the clock went back. #}
{% macro milliseconds_between(earlier, later) -%}
    {{ return(adapter.dispatch('milliseconds_between')(earlier, later)) }}
{%- endmacro %}

{% macro default__milliseconds_between(earlier, later) -%}
    (unix_millis({{ later }}) - unix_millis({{ earlier }}))
{%- endmacro %}

{% macro duckdb__milliseconds_between(earlier, later) -%}
    (epoch_ms({{ later }}) - epoch_ms({{ earlier }}))
{%- endmacro %}

{# A text as an instant, null where it is none. #}
{% macro instant(column) -%}
    {{ return(adapter.dispatch('instant')(column)) }}
{%- endmacro %}

{% macro default__instant(column) -%}
    try_cast({{ column }} as timestamp)
{%- endmacro %}

{% macro duckdb__instant(column) -%}
    try_cast({{ column }} as timestamptz)
{%- endmacro %}

{% macro matches(column, pattern) -%}
    {{ return(adapter.dispatch('matches')(column, pattern)) }}
{%- endmacro %}

{% macro default__matches(column, pattern) -%}
    ({{ column }} rlike {{ pattern }})
{%- endmacro %}

{% macro duckdb__matches(column, pattern) -%}
    regexp_matches({{ column }}, {{ pattern }})
{%- endmacro %}

{# Length of a text in bytes of UTF-8. #}
{% macro byte_length(column) -%}
    {{ return(adapter.dispatch('byte_length')(column)) }}
{%- endmacro %}

{% macro default__byte_length(column) -%}
    octet_length({{ column }})
{%- endmacro %}

{% macro duckdb__byte_length(column) -%}
    strlen({{ column }})
{%- endmacro %}

{# The value of the row that comes first (or last) in an order given by several columns. #}
{% macro first_value_by(value, order_columns) -%}
    {{ return(adapter.dispatch('first_value_by')(value, order_columns)) }}
{%- endmacro %}

{% macro default__first_value_by(value, order_columns) -%}
    min_by({{ value }}, struct({{ order_columns | join(', ') }}))
{%- endmacro %}

{% macro duckdb__first_value_by(value, order_columns) -%}
    arg_min({{ value }}, row({{ order_columns | join(', ') }}))
{%- endmacro %}

{% macro last_value_by(value, order_columns) -%}
    {{ return(adapter.dispatch('last_value_by')(value, order_columns)) }}
{%- endmacro %}

{% macro default__last_value_by(value, order_columns) -%}
    max_by({{ value }}, struct({{ order_columns | join(', ') }}))
{%- endmacro %}

{% macro duckdb__last_value_by(value, order_columns) -%}
    arg_max({{ value }}, row({{ order_columns | join(', ') }}))
{%- endmacro %}

{# The number of the minute that an instant lies in, since 1970. #}
{% macro minute_number(column) -%}
    cast(floor({{ microseconds(column) }} / 60000000) as bigint)
{%- endmacro %}

{# Microseconds since the epoch: an instant as a number, the same in every time zone. #}
{% macro microseconds(column) -%}
    {{ return(adapter.dispatch('microseconds')(column)) }}
{%- endmacro %}

{% macro default__microseconds(column) -%}
    unix_micros({{ column }})
{%- endmacro %}

{% macro duckdb__microseconds(column) -%}
    epoch_us({{ column }})
{%- endmacro %}
