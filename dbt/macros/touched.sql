{# The incremental rule. A run rebuilds what its batch touches: meta.pending_sessions (written by
   the loader, and here: sessions that owned, or now own, a touched response) and
   meta.pending_days. Deleting and noting happen in the transaction of the model that inserts, and
   both tables are emptied only after the whole run: a run that died is repaired by the next. #}

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

{# Add the sessions that own touched responses in this table: called before the delete, and after
   the insert. #}
{% macro note_owners() -%}
    {%- if is_incremental() -%}
        insert into {{ source('annals', 'pending_sessions') }}
        select distinct session_id
        from {{ this }}
        where
            message_id in ({{ touched_messages() }})
            and session_id not in ({{ touched_sessions() }})
    {%- endif -%}
{%- endmacro %}

{# Add the days of touched sessions in this table: called before the delete, and after the insert. #}
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
