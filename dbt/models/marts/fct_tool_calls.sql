{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ delete_touched('session_id', touched_sessions()) }}"
) }}

with touched_sessions as (
    select session_id from {{ ref('stg_annals__touched_sessions') }}
),

calls as (
    select * from {{ rows_of_touched_sessions(ref('int_tool_calls')) }} as touched
),

sessions as (
    select session_id, project_key from {{ ref('int_sessions') }}
),

final as (
    select
        calls.tool_call_key, calls.tool_use_id, calls.response_key, calls.session_id,
        sessions.project_key,
        calls.tool_name, calls.called_at, calls.finished_at,
        {{ milliseconds_between('calls.called_at', 'calls.finished_at') }} as duration_ms,
        {{ local_date('calls.called_at') }} as usage_date,
        calls.has_result, calls.is_error, calls.input_bytes, calls.result_bytes, calls.is_subagent,
        calls.is_nested
    from calls
    left join sessions on calls.session_id = sessions.session_id
)

select * from final
