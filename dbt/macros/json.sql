{# Reading JSON text. A shape is a nested dictionary whose leaves are column types; a list of one
   shape is an array. Whatever does not fit its place is null, whatever is not asked for is skipped.
   The functions below take only text that readable_json returned. #}

{# The text itself if the engine can parse it. Text that it refuses although it is JSON (a lone
   surrogate escape) has those escapes replaced; if that is refused too the result is null, so that
   the row counts. To test the text once is cheaper than to try each function on it. #}
{% macro readable_json(column) -%}
    {{ return(adapter.dispatch('readable_json')(column)) }}
{%- endmacro %}

{% macro default__readable_json(column) -%}
    {{ column }}
{%- endmacro %}

{% macro duckdb__readable_json(column) -%}
    case
        when json_valid({{ column }}) then {{ column }}
        when json_valid({{ without_surrogates(column) }}) then {{ without_surrogates(column) }}
    end
{%- endmacro %}

{% macro json_struct(column, shape) -%}
    {{ return(adapter.dispatch('json_struct')(column, shape)) }}
{%- endmacro %}

{% macro default__json_struct(column, shape) -%}
    from_json({{ column }}, '{{ json_shape_ddl(shape) }}')
{%- endmacro %}

{% macro duckdb__json_struct(column, shape) -%}
    json_transform({{ column }}, '{{ tojson(shape) }}')
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
    json_extract_string({{ column }}, '{{ path }}')
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

{# The members of a JSON object as a list of structs: key, and value in a shape. #}
{% macro json_members(column, fields) -%}
    {{ return(adapter.dispatch('json_members')(column, fields)) }}
{%- endmacro %}

{% macro default__json_members(column, fields) -%}
    map_entries(from_json({{ column }}, 'map<string, struct<
    {%- for name in fields %}{{ ', ' if not loop.first }}{{ name }}: string{% endfor -%}
    >>'))
{%- endmacro %}

{% macro duckdb__json_members(column, fields) -%}
    {%- set parts = [] -%}
    {%- for name in fields -%}{%- do parts.append(name ~ ' VARCHAR') -%}{%- endfor -%}
    map_entries(json_transform(
        {{ column }}, '"MAP(VARCHAR, STRUCT({{ parts | join(', ') }}))"'
    ))
{%- endmacro %}
