{{ config(materialized='incremental', incremental_strategy='replace_rows') }}

{%- set records = source('lake', 'new_records' if is_incremental() else 'records') %}
{%- set nested = 'entry.data.message' %}
{%- set is_error = "coalesce(entry.isApiErrorMessage, " ~ nested ~ ".isApiErrorMessage, '')" %}

with copied as (
    select entry_id
    from {{ records }}
    where record_kind = 'entry'
    group by entry_id
    having count(*) > 1
),

-- of an entry read at several places the least place counts, so that order does not matter
ranked as (
    select
        *,
        row_number() over (
            partition by entry_id order by file_generation, project_id, host, agent_id, seq
        ) as place
    from {{ records }}
    where record_kind = 'entry' and entry_id in (select entry_id from copied)
),

singled as (
    select *, 1 as place
    from {{ records }}
    where record_kind = 'entry' and entry_id not in (select entry_id from copied)
    union all
    select * from ranked
    where place = 1
),

{% if is_incremental() -%}
known as (
    select {{ row_position() }} as replaced_row, entry_id, file_generation, project_id, host
    from {{ this }}
    where entry_id in (select entry_id from {{ records }} where record_kind = 'entry')
),
{%- endif %}

wanted as (
    select
        singled.entry_id, singled.session_id, singled.file_key, singled.stored_hash,
        singled.byte_offset, singled.byte_length, singled.uuid, singled.parent_uuid,
        singled.request_id, singled.cwd, singled.git_branch, singled.redaction,
        singled.type as entry_type, singled.timestamp as occurred_at,
        singled.version as claude_version, coalesce(singled.project_id, '') as project_id,
        coalesce(singled.host, '') as host, {{ readable_json('singled.raw') }} as json,
        coalesce(singled.file_generation, 0) as file_generation,
        coalesce(singled.agent_kind, 'claude_code') as agent_kind,
        coalesce(singled.is_sidechain, false) as is_sidechain
        {%- if is_incremental() %}, known.replaced_row{% endif %}
    from singled
    {% if is_incremental() -%}
    left join known on singled.entry_id = known.entry_id
    where
        known.entry_id is null
        or (singled.file_generation, singled.project_id, singled.host)
        < (known.file_generation, known.project_id, known.host)
    {%- endif %}
),

parsed as (
    select *, {{ json_struct('json', entry_shape()) }} as entry from wanted
),

typed as (
    select
        *,
        coalesce('assistant' in (
            entry_type, entry.message.role, {{ nested }}.type, {{ nested }}.message.role
        ), false) as is_response,
        nullif(coalesce(entry.message.id, {{ nested }}.message.id), '') as given_message_id,
        nullif(coalesce(request_id, {{ nested }}.requestId), '') as given_request_id,
        coalesce(entry.message.usage, {{ nested }}.message.usage) as usage,
        coalesce(entry.message.model, {{ nested }}.message.model) as named_model,
        {{ plain_text_of_user() }} as plain_text
    from parsed
),

final as (
    select
        entry_id, session_id, project_id, host, file_key, file_generation, byte_offset,
        byte_length, {{ is_subagent_file('file_key') }} as is_subagent_file, entry_type,
        coalesce(entry.attachment.type, entry.data.type, entry.subtype) as entry_subtype,
        uuid, parent_uuid, occurred_at, claude_version, cwd, git_branch, is_sidechain,
        coalesce(entry.isMeta, '') = 'true' as is_meta, {{ is_error }} = 'true' as is_api_error,
        coalesce(entry.isCompactSummary, '') = 'true' as is_compact_summary,
        {{ is_human_turn() }} as is_human_turn,
        entry.message is null and {{ nested }}.message is not null as is_nested,
        nullif({{ nested }}.uuid, '') as nested_uuid,
        nullif(entry.forkedFrom.messageUuid, '') as fork_of_uuid,
        coalesce({{ instant(nested ~ '.timestamp') }}, occurred_at) as message_at,
        case when is_response then coalesce(given_message_id, given_request_id, uuid, entry_id)
        end as message_id, case when is_response then given_request_id end as request_id,
        {{ bare_model('named_model') }} as model_id, {{ context_window('named_model') }}
            as context_window,
        is_response and usage is not null as has_usage,
        coalesce(entry.message.stop_reason, {{ nested }}.message.stop_reason) as stop_reason,
        {% for name, path in usage_counts().items() -%}
        {{ token_count('usage.' ~ path) }} as {{ name }}, {% endfor -%}
        {{ list_size('usage.iterations') }} as iterations,
        {{ charged_steps('usage.iterations', 'named_model') }} as steps,
        usage.service_tier, usage.speed, usage.inference_geo, agent_kind, stored_hash, redaction,
        {{ nano_usd_of('entry.costUSD') }} as recorded_cost_nano_usd,
        {{ nano_usd_of('entry.totalCostUSD') }} as vendor_cost_nano_usd,
        case when entry_type = 'cost-state' then entry.modelUsage end as vendor_usage,
        entry.worktreeSession.worktreePath as worktree_path,
        entry.worktreeSession.originalCwd as worktree_origin,
        {{ given_title() }} as title, {{ prompt_beginning() }} as prompt,
        case when entry_type = 'summary' then entry.leafUuid end as title_of_uuid,
        {% if is_incremental() -%} replaced_row, {%- endif %}
        {{ block_facts('coalesce(entry.message.content, ' ~ nested ~ '.message.content)') }}
            as content_blocks
    from typed
)

select * from final
