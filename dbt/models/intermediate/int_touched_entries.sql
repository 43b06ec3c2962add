{{ config(materialized='touched_rows') }}

with touched_sessions as (
    select session_id from {{ ref('stg_annals__touched_sessions') }}
),

entries as (
    {% if builds_everything() -%}
    select * from {{ ref('stg_claude_code__entries') }}
    {%- else -%}
    select *
    from {{ rows_where(
        ref('stg_claude_code__entries'), 'session_id in (select session_id from touched_sessions)'
    ) }} as touched
    {%- endif %}
),

final as (
    select
        entry_id, session_id, project_id, host, file_key, file_generation, byte_offset,
        is_subagent_file, entry_type, uuid, occurred_at, claude_version, cwd, git_branch,
        is_sidechain, is_meta, is_compact_summary, is_human_turn, is_nested, message_at, model_id,
        message_id, request_id, has_usage, is_api_error, input_tokens, output_tokens,
        cache_creation_tokens, cache_5m_tokens, cache_1h_tokens, cache_read_tokens, iterations,
        steps, nested_uuid, fork_of_uuid, vendor_cost_nano_usd, vendor_usage, worktree_path,
        worktree_origin, content_blocks
    from entries
    where session_id not in (select session_id from {{ ref('int_foreign_sessions') }})
)

select * from final
