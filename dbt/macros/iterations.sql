{# Steps of a response (usage.iterations) and the parts of a model's name (accounting, A-02). #}

{# The steps that cost something beside the totals above them: of types other than message and
   fallback_message, and attempts that another model declined before a fallback. Steps of the
   serving model are in the totals and are left out. #}
{% macro charged_steps(steps, model) -%}
    {%- set served = "('message', 'fallback_message')" -%}
    {%- set fields = {
        'place': 'place',
        'type': "coalesce(item.type, 'message')",
        'model_id': bare_model('item.model'),
        'context_window': context_window('item.model'),
        'is_declined': "coalesce(item.type in " ~ served ~ " and " ~ bare_model('item.model')
            ~ " <> " ~ bare_model(model) ~ " and place < "
            ~ last_place_of_fallback(steps) ~ ", false)",
        'input_tokens': counted_tokens('item.input_tokens'),
        'output_tokens': counted_tokens('item.output_tokens'),
        'cache_read_tokens': counted_tokens('item.cache_read_input_tokens'),
        'cache_write_tokens': 'greatest(' ~ counted_tokens('item.cache_creation_input_tokens')
            ~ ', ' ~ counted_tokens('item.cache_creation.ephemeral_5m_input_tokens') ~ ' + '
            ~ counted_tokens('item.cache_creation.ephemeral_1h_input_tokens') ~ ')',
        'cache_write_1h_tokens':
            counted_tokens('item.cache_creation.ephemeral_1h_input_tokens')
    } -%}
    {%- set is_charged = 'item.is_declined or item.type not in ' ~ served -%}
    {{ list_where(numbered_structs(steps, fields), is_charged) }}
{%- endmacro %}

{% macro counted_tokens(column) -%}
    coalesce({{ token_count(column) }}, 0)
{%- endmacro %}

{# A list of structs made from the elements of a list; its expressions name item and place. #}
{% macro numbered_structs(list, fields) -%}
    {{ return(adapter.dispatch('numbered_structs')(list, fields)) }}
{%- endmacro %}

{% macro default__numbered_structs(list, fields) -%}
    {%- set parts = [] -%}
    {%- for name, value in fields.items() -%}
        {%- do parts.append("'" ~ name ~ "', " ~ value) -%}
    {%- endfor -%}
    transform({{ list }}, (item, place) -> named_struct({{ parts | join(', ') }}))
{%- endmacro %}

{% macro duckdb__numbered_structs(list, fields) -%}
    {%- set parts = [] -%}
    {%- for name, value in fields.items() -%}
        {%- do parts.append(name ~ ' := ' ~ value) -%}
    {%- endfor -%}
    list_transform({{ list }}, lambda item, place: struct_pack({{ parts | join(', ') }}))
{%- endmacro %}

{# The place of the last fallback_message among the steps; null without one. #}
{% macro last_place_of_fallback(steps) -%}
    {{ return(adapter.dispatch('last_place_of_fallback')(steps)) }}
{%- endmacro %}

{% macro default__last_place_of_fallback(steps) -%}
    (size({{ steps }}) - nullif(array_position(
        reverse(transform({{ steps }}, step -> step.type)), 'fallback_message'), 0))
{%- endmacro %}

{% macro duckdb__last_place_of_fallback(steps) -%}
    (len({{ steps }}) + 1 - list_position(
        list_reverse(list_transform({{ steps }}, lambda step: step.type)), 'fallback_message'))
{%- endmacro %}

{# The model's name without a suffix for its context window: claude-opus-5[1m] is claude-opus-5. #}
{% macro bare_model(column) -%}
    {{ return(adapter.dispatch('bare_model')(column)) }}
{%- endmacro %}

{% macro default__bare_model(column) -%}
    regexp_replace({{ column }}, '(.)\\s*\\[[^\\]]*\\]$', '$1')
{%- endmacro %}

{% macro duckdb__bare_model(column) -%}
    (case when {{ column }} like '%]'
        then regexp_replace({{ column }}, '(.)\s*\[[^\]]*\]$', '\1') else {{ column }} end)
{%- endmacro %}

{# That suffix in lower case, null without one. #}
{% macro context_window(column) -%}
    {{ return(adapter.dispatch('context_window')(column)) }}
{%- endmacro %}

{% macro default__context_window(column) -%}
    nullif(regexp_extract(lower({{ column }}), '.\\[([^\\]]*)\\]$', 1), '')
{%- endmacro %}

{% macro duckdb__context_window(column) -%}
    (case when {{ column }} like '%]'
        then nullif(regexp_extract(lower({{ column }}), '.\[([^\]]*)\]$', 1), '') end)
{%- endmacro %}
