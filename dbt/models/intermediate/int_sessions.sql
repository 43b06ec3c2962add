{{ config(pre_hook="{{ delete_touched('session_id', touched_sessions()) }}") }}

{%- set by_time = ['occurred_at', 'file_key', 'file_generation', 'byte_offset', 'entry_id'] %}
{%- set by_place = [
    "file_key <> session_id || '.jsonl'", 'is_subagent_file', 'file_key', 'file_generation',
    'byte_offset', 'entry_id'
] %}
{%- set last_total = ['file_generation', 'byte_offset', 'file_key', 'entry_id'] %}

with entries as (
    select * from {{ ref('int_touched_entries') }}
),

sessions as (
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
        {{ last_value_by("nullif(git_branch, '')", by_time) }} as git_branch,
        {{ last_value_by(
            'case when not is_subagent_file then vendor_usage end', last_total
        ) }} as vendor_usage,
        {{ last_value_by(
            'case when not is_subagent_file then vendor_cost_nano_usd end', last_total
        ) }} as vendor_cost_nano_usd,
        count(distinct case when is_api_error then coalesce(uuid, entry_id) end) as api_errors
    from entries
    group by session_id
),

minutes as (
    select distinct session_id, {{ minute_number('occurred_at') }} as minute
    from entries
    where occurred_at is not null
),

neighbours as (
    select
        session_id,
        lead(minute) over (partition by session_id order by minute) - minute as minutes_to_next
    from minutes
),

-- a pause of up to five minutes is work, as of a tool that runs; a longer one is none
active as (
    select
        session_id,
        sum(case when minutes_to_next <= 5 then minutes_to_next else 1 end) as active_minutes
    from neighbours
    group by session_id
),

worktrees as (
    select distinct session_id, worktree_path, worktree_origin
    from entries
    where worktree_path <> '' and worktree_origin <> ''
),

-- a session that was begun in a worktree belongs to the project that the worktree is of
origins as (
    select
        sessions.session_id,
        {{ last_value_by('worktree_origin', [
            'length(worktree_path)', 'worktree_path', 'worktree_origin'
        ]) }} as origin
    from sessions
    inner join worktrees on sessions.session_id = worktrees.session_id
    where {{ is_at_or_below(folded_path('sessions.cwd'), folded_path('worktrees.worktree_path')) }}
    group by sessions.session_id
),

located as (
    select
        sessions.*, active.active_minutes,
        {{ project_root('coalesce(origins.origin, sessions.cwd)') }} as project_root
    from sessions
    left join origins on sessions.session_id = origins.session_id
    left join active on sessions.session_id = active.session_id
),

final as (
    select
        session_id, entries, started_at, ended_at, cwd, project_id, host, first_version,
        last_version, git_branch, vendor_usage, vendor_cost_nano_usd,
        coalesce(project_root, project_id) as project_path,
        {{ project_key('project_root', 'project_id') }} as project_key,
        cast(api_errors as bigint) as api_errors,
        {{ count_or_zero('active_minutes') }} as active_minutes
    from located
)

select * from final
