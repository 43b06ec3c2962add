{# The incremental rule. A run rebuilds what its batch touches: the sessions of the batch
   (meta.pending_sessions, from the loader), every message id in them, every session that holds a
   copy of one of these messages, and the days of all their responses. Deleting and noting happen
   in the transaction of the model that inserts; both tables are emptied only after the whole run,
   so that a run that died is repaired by the next. #}

{% macro delete_touched(column, touched) -%}
    {%- if is_incremental() -%}
        delete from {{ this }} where {{ column }} in ({{ touched }})
    {%- endif -%}
{%- endmacro %}

{% macro touched_sessions() -%}
    select session_id from {{ source('annals', 'pending_sessions') }} where session_id is not null
{%- endmacro %}

{% macro touched_messages() -%}
    select message_id from {{ ref('int_response_rows') }}
{%- endmacro %}

{# Add the sessions that hold a row of a touched message: one of them owns the response, and may
   have lost it to another. #}
{% macro note_sessions() -%}
    {%- if not flags.FULL_REFRESH -%}
        insert into {{ source('annals', 'pending_sessions') }}
        select distinct session_id
        from {{ this }}
        where session_id not in ({{ touched_sessions() }})
    {%- endif -%}
{%- endmacro %}

{# Add the days of touched sessions in this table: called before the delete and after the insert. #}
{% macro note_days() -%}
    {%- if is_incremental() -%}
        insert into {{ source('annals', 'pending_days') }}
        select distinct usage_date
        from {{ this }}
        where session_id in ({{ touched_sessions() }})
    {%- endif -%}
{%- endmacro %}

{# Whether usage_date is among the touched days. Responses without a timestamp have a day of their
   own, which is null. #}
{% macro is_touched_day(touched_days) -%}
    (
        usage_date in (select usage_date from {{ touched_days }} where usage_date is not null)
        or (
            usage_date is null
            and exists (select 1 from {{ touched_days }} as days where days.usage_date is null)
        )
    )
{%- endmacro %}

{% macro delete_touched_days() -%}
    {%- if is_incremental() -%}
        delete from {{ this }} where {{ is_touched_day(source('annals', 'pending_days')) }}
    {%- endif -%}
{%- endmacro %}

{# Whether this run builds everything: on a full refresh, and where a table is missing that
   otherwise would be given no more than the touched rows. #}
{% macro builds_everything() -%}
    {%- set tables = [
        'int_api_responses', 'int_tool_calls', 'int_messages', 'int_sessions',
        'int_foreign_sessions'
    ] -%}
    {%- set missing = namespace(any=flags.FULL_REFRESH) -%}
    {%- for name in tables if execute and not missing.any -%}
        {%- set missing.any = adapter.get_relation(this.database, this.schema, name) is none -%}
    {%- endfor -%}
    {{ return(missing.any) }}
{%- endmacro %}

{# Touched rows are copied into a table; where all rows are, a view will do. #}
{% materialization touched_rows, default -%}
    {%- if builds_everything() -%}
        {{ return(dbt.materialization_view_default()) }}
    {%- else -%}
        {{ return(touched_rows_as_table()) }}
    {%- endif -%}
{%- endmaterialization %}

{% macro touched_rows_as_table() -%}
    {{ return(adapter.dispatch('touched_rows_as_table')()) }}
{%- endmacro %}

{% macro default__touched_rows_as_table() -%}
    {{ return(dbt.materialization_table_default()) }}
{%- endmacro %}

{% macro duckdb__touched_rows_as_table() -%}
    {{ return(dbt.materialization_table_duckdb()) }}
{%- endmacro %}

{# The rows of a table that belong to touched sessions, or the table where all is built. Expects
   the CTE touched_sessions. #}
{% macro rows_of_touched_sessions(relation) -%}
    {%- if is_incremental() -%}
        {{ rows_where(relation, 'session_id in (select session_id from touched_sessions)') }}
    {%- else -%}
        {{ relation }}
    {%- endif -%}
{%- endmacro %}

{# Rows of a big table by a narrow condition. The engine looks at the condition's columns alone,
   and reads the others only for the rows that it found. #}
{% macro rows_where(relation, condition) -%}
    {{ return(adapter.dispatch('rows_where')(relation, condition)) }}
{%- endmacro %}

{% macro default__rows_where(relation, condition) -%}
    (select * from {{ relation }} where {{ condition }})
{%- endmacro %}

{% macro duckdb__rows_where(relation, condition) -%}
    (
        select * from {{ relation }}
        where rowid in (select rowid from {{ relation }} where {{ condition }})
    )
{%- endmacro %}
