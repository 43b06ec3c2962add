{{ config(pre_hook="{{ delete_touched('session_id', touched_sessions()) }}") }}

-- depends_on: {{ ref('int_response_rows') }}

with touched_sessions as (
    select session_id from {{ ref('stg_annals__touched_sessions') }}
),

entries as (
    {% if builds_everything() -%}
    select session_id, entry_type, uuid from {{ ref('stg_claude_code__entries') }}
    {%- else -%}
    select session_id, entry_type, uuid
    from {{ rows_where(
        ref('stg_claude_code__entries'), 'session_id in (select session_id from touched_sessions)'
    ) }} as touched
    {%- endif %}
),

final as (
    select session_id, count(*) as entries
    from entries
    group by session_id
    having not bool_or({{ is_conversation() }})
)

select * from final
