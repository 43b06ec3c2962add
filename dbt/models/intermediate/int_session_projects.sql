{{ config(pre_hook="{{ delete_touched('session_id', touched_sessions()) }}") }}

with entries as (
    select * from {{ ref('int_touched_entries') }}
),

sessions as (
    select session_id, cwd as session_cwd from {{ ref('int_sessions') }}
),

grouped as (
    select
        session_id, cwd, project_id,
        min(occurred_at) as started_at, max(occurred_at) as ended_at, count(*) as entries
    from entries
    group by session_id, cwd, project_id
),

identified as (
    select
        grouped.*,
        coalesce(grouped.cwd, sessions.session_cwd, grouped.project_id) as project_path,
        {{ project_key('grouped.cwd', 'sessions.session_cwd', 'grouped.project_id') }}
            as project_key
    from grouped
    inner join sessions on grouped.session_id = sessions.session_id
),

final as (
    select
        session_id, project_key,
        min(project_path) as project_path,
        min(started_at) as started_at,
        max(ended_at) as ended_at,
        cast(sum(entries) as bigint) as entries
    from identified
    group by session_id, project_key
)

select * from final
