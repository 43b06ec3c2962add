{{ config(pre_hook="{{ delete_touched('session_id', touched_sessions()) }}") }}

{%- set by_time = ['occurred_at', 'file_key', 'file_generation', 'byte_offset', 'entry_id'] %}
{%- set by_place = [
    'is_subagent_file', 'file_key', 'file_generation', 'byte_offset', 'entry_id'
] %}

with entries as (
    select * from {{ ref('int_touched_entries') }}
),

final as (
    select
        session_id,
        count(*) as entries,
        min(occurred_at) as started_at,
        max(occurred_at) as ended_at,
        {{ first_value_by('cwd', by_place) }} as cwd,
        min(project_id) as project_id,
        min(host) as host,
        {{ first_value_by('claude_version', by_time) }} as first_version,
        {{ last_value_by('claude_version', by_time) }} as last_version,
        {{ last_value_by("nullif(git_branch, '')", by_time) }} as git_branch
    from entries
    group by session_id
)

select * from final
