{# Reading JSON text. A shape is a nested dictionary whose leaves are column types; a list of one
   shape is an array. Whatever does not fit its place is null, whatever is not asked for is skipped.
   Text that the engine refuses although it is JSON (a lone surrogate escape) is read again with
   those escapes replaced; where that is refused too the result is null, so that the row counts. #}

{% macro json_struct(column, shape) -%}
    {{ return(adapter.dispatch('json_struct')(column, shape)) }}
{%- endmacro %}

{% macro default__json_struct(column, shape) -%}
    from_json({{ column }}, '{{ json_shape_ddl(shape) }}')
{%- endmacro %}

{% macro duckdb__json_struct(column, shape) -%}
    coalesce(
        try(json_transform({{ column }}, '{{ tojson(shape) }}')),
        try(json_transform({{ without_surrogates(column) }}, '{{ tojson(shape) }}'))
    )
{%- endmacro %}

{# The same shape as the data definition text that Spark's from_json takes. #}
{% macro json_shape_ddl(shape) -%}
    {%- if shape is string -%}
        {{ 'string' if shape == 'VARCHAR' else shape }}
    {%- elif shape is mapping -%}
        {%- set fields = [] -%}
        {%- for name, inner in shape.items() -%}
            {%- do fields.append('`' ~ name ~ '`: ' ~ json_shape_ddl(inner) | trim) -%}
        {%- endfor -%}
        struct<{{ fields | join(', ') }}>
    {%- else -%}
        array<{{ json_shape_ddl(shape[0]) }}>
    {%- endif -%}
{%- endmacro %}

{% macro json_text(column, path) -%}
    {{ return(adapter.dispatch('json_text')(column, path)) }}
{%- endmacro %}

{% macro default__json_text(column, path) -%}
    get_json_object({{ column }}, '{{ path }}')
{%- endmacro %}

{% macro duckdb__json_text(column, path) -%}
    coalesce(
        try(json_extract_string({{ column }}, '{{ path }}')),
        try(json_extract_string({{ without_surrogates(column) }}, '{{ path }}'))
    )
{%- endmacro %}

{% macro without_surrogates(column) -%}
    {{ return(adapter.dispatch('without_surrogates')(column)) }}
{%- endmacro %}

{% macro default__without_surrogates(column) -%}
    regexp_replace({{ column }}, '\\\\u[dD][89a-fA-F][0-9a-fA-F]{2}', '\\\\ufffd')
{%- endmacro %}

{% macro duckdb__without_surrogates(column) -%}
    regexp_replace({{ column }}, '\\u[dD][89a-fA-F][0-9a-fA-F]{2}', '\\ufffd', 'g')
{%- endmacro %}
