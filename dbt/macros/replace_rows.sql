{# Incremental strategy: append, and delete the rows that new ones replace. The model finds them
   while it looks for what is known already and hands over their place as replaced_row, which is
   no column of the table; so the table is searched once, not twice. #}

{% macro get_incremental_replace_rows_sql(arg_dict) -%}
    {%- set target = arg_dict['target_relation'] -%}
    {%- set batch = arg_dict['temp_relation'] -%}
    delete from {{ target }}
    where {{ row_position() }} in (
        select replaced_row from {{ batch }} where replaced_row is not null
    );
    {{ get_insert_into_sql(target, batch, arg_dict['dest_columns']) }}
{%- endmacro %}

{% macro row_position() -%}
    {{ return(adapter.dispatch('row_position')()) }}
{%- endmacro %}

{# Where the engine has no row ids, the key of the entry does. #}
{% macro default__row_position() -%}
    entry_id
{%- endmacro %}

{% macro duckdb__row_position() -%}
    rowid
{%- endmacro %}
