{# Lists of content blocks. In an expression given here the element is called item. #}

{% macro list_where(list, condition) -%}
    {{ return(adapter.dispatch('list_where')(list, condition)) }}
{%- endmacro %}

{% macro default__list_where(list, condition) -%}
    filter({{ list }}, item -> {{ condition }})
{%- endmacro %}

{% macro duckdb__list_where(list, condition) -%}
    list_filter({{ list }}, lambda item: {{ condition }})
{%- endmacro %}

{# The first element that satisfies a condition, null where none does. #}
{% macro first_item_where(list, condition) -%}
    {{ return(adapter.dispatch('first_item_where')(list, condition)) }}
{%- endmacro %}

{% macro default__first_item_where(list, condition) -%}
    try_element_at({{ list_where(list, condition) }}, 1)
{%- endmacro %}

{% macro duckdb__first_item_where(list, condition) -%}
    ({{ list_where(list, condition) }})[1]
{%- endmacro %}

{% macro list_size(list) -%}
    {{ return(adapter.dispatch('list_size')(list)) }}
{%- endmacro %}

{% macro default__list_size(list) -%}
    greatest(size({{ list }}), 0)
{%- endmacro %}

{% macro duckdb__list_size(list) -%}
    coalesce(len({{ list }}), 0)
{%- endmacro %}

{# How many elements satisfy a condition; 0 for a missing list. #}
{% macro list_count_where(list, condition) -%}
    {{ list_size(list_where(list, condition)) }}
{%- endmacro %}

{# One row per element, as the column item; the other columns are those asked for. #}
{% macro list_rows(relation, list, columns) -%}
    {{ return(adapter.dispatch('list_rows')(relation, list, columns)) }}
{%- endmacro %}

{% macro default__list_rows(relation, list, columns) -%}
    select {{ columns | join(', ') }}, item
    from {{ relation }} lateral view explode({{ list }}) exploded as item
{%- endmacro %}

{% macro duckdb__list_rows(relation, list, columns) -%}
    select {{ columns | join(', ') }}, unnest({{ list }}) as item
    from {{ relation }}
{%- endmacro %}

{# Content blocks without their text: index, type, ids, tool name, error mark and size. #}
{% macro block_facts(list) -%}
    {{ return(adapter.dispatch('block_facts')(list)) }}
{%- endmacro %}

{% macro default__block_facts(list) -%}
    transform({{ list }}, (item, position) -> named_struct(
        'block_index', position,
        'block_type', item.type,
        'tool_use_id', coalesce(item.tool_use_id, item.id),
        'tool_name', item.name,
        'is_error', {{ is_error_block() }},
        'payload_bytes', {{ block_payload_bytes() }}
    ))
{%- endmacro %}

{% macro duckdb__block_facts(list) -%}
    list_transform({{ list }}, lambda item, position: struct_pack(
        block_index := (position - 1)::integer,
        block_type := item.type,
        tool_use_id := coalesce(item.tool_use_id, item.id),
        tool_name := item.name,
        is_error := {{ is_error_block() }},
        payload_bytes := {{ block_payload_bytes() }}
    ))
{%- endmacro %}

{# Results of server tools say in their content that they failed. #}
{% macro is_error_block() -%}
    coalesce(
        item.is_error = 'true'
        or (item.type like '%_tool_result' and item.content like '%tool_result_error"%'), false
    )
{%- endmacro %}

{% macro block_payload_bytes() -%}
    coalesce(
        {{ byte_length('item.text') }}, {{ byte_length('item.thinking') }},
        {{ byte_length('item.input') }}, {{ byte_length('item.content') }}, 0
    )
{%- endmacro %}
