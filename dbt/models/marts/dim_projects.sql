with sessions as (
    select * from {{ ref('int_sessions') }}
),

usage as (
    select
        project_key,
        sum(api_responses) as api_responses,
        sum(cost_nano_usd) as cost_nano_usd
    from {{ ref('agg_usage_daily') }}
    group by project_key
),

projects as (
    select
        project_key,
        min(project_path) as project_path,
        min(started_at) as started_at,
        max(ended_at) as ended_at,
        count(*) as sessions
    from sessions
    group by project_key
),

final as (
    select
        projects.project_key,
        projects.project_path,
        {{ path_name('projects.project_path') }} as project_name,
        projects.started_at,
        projects.ended_at,
        projects.sessions,
        {{ count_or_zero('usage.api_responses') }} as api_responses,
        {{ usd(cost_or_zero('usage')) }} as cost_usd
    from projects
    left join usage on projects.project_key = usage.project_key
)

select * from final
