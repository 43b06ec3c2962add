{{ config(materialized='incremental', incremental_strategy='replace_rows') }}

{%- set records = source('lake', 'new_records' if is_incremental() else 'records') %}

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
        singled.entry_id, singled.session_id, coalesce(singled.project_id, '') as project_id,
        coalesce(singled.host, '') as host, singled.file_key, singled.stored_hash,
        coalesce(singled.file_generation, 0) as file_generation, singled.byte_offset,
        singled.byte_length, singled.type as entry_type, singled.uuid, singled.parent_uuid,
        singled.timestamp as occurred_at, singled.request_id, singled.version as claude_version,
        singled.cwd, singled.git_branch, {{ readable_json('singled.raw') }} as json,
        coalesce(singled.agent_kind, 'claude_code') as agent_kind, singled.redaction,
        {% if is_incremental() %}known.replaced_row,{% endif %}
        coalesce(singled.is_sidechain, false) as is_sidechain
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
        coalesce(
            entry_type = 'assistant' or entry.message.role = 'assistant'
            or entry.data.message.type = 'assistant'
            or entry.data.message.message.role = 'assistant', false
        ) as is_response,
        nullif(coalesce(entry.message.id, entry.data.message.message.id), '') as given_message_id,
        nullif(coalesce(request_id, entry.data.message.requestId), '') as given_request_id,
        coalesce(entry.message.usage, entry.data.message.message.usage) as usage,
        case when entry_type = 'user' and entry.message.content is null
            then {{ json_text('json', '$.message.content') }}
        end as plain_text
    from parsed
),

final as (
    select
        entry_id, session_id, project_id, host, file_key, file_generation, byte_offset,
        byte_length, {{ is_subagent_file('file_key') }} as is_subagent_file, entry_type,
        coalesce(entry.attachment.type, entry.data.type, entry.subtype) as entry_subtype,
        uuid, parent_uuid, occurred_at, claude_version, cwd, git_branch, is_sidechain,
        coalesce(entry.isMeta = 'true', false) as is_meta,
        coalesce(entry.isCompactSummary = 'true', false) as is_compact_summary,
        coalesce(
            coalesce(entry.isApiErrorMessage, entry.data.message.isApiErrorMessage) = 'true', false
        ) as is_api_error,
        {{ is_human_turn() }} as is_human_turn,
        entry.message is null and entry.data.message.message is not null as is_nested,
        coalesce({{ instant('entry.data.message.timestamp') }}, occurred_at) as message_at,
        case when is_response
            then coalesce(given_message_id, given_request_id, uuid, entry_id)
        end as message_id,
        case when is_response then given_request_id end as request_id,
        coalesce(entry.message.model, entry.data.message.message.model) as model_id,
        coalesce(entry.message.stop_reason, entry.data.message.message.stop_reason) as stop_reason,
        is_response and usage is not null as has_usage,
        {{ token_count('usage.input_tokens') }} as input_tokens,
        {{ token_count('usage.output_tokens') }} as output_tokens,
        {{ token_count('usage.cache_creation_input_tokens') }} as cache_creation_tokens,
        {{ token_count('usage.cache_creation.ephemeral_5m_input_tokens') }} as cache_5m_tokens,
        {{ token_count('usage.cache_creation.ephemeral_1h_input_tokens') }} as cache_1h_tokens,
        {{ token_count('usage.cache_read_input_tokens') }} as cache_read_tokens,
        {{ token_count('usage.server_tool_use.web_search_requests') }} as web_search_requests,
        usage.service_tier, usage.speed, usage.inference_geo, agent_kind, stored_hash, redaction,
        {% if is_incremental() -%}
        replaced_row,
        {%- endif %}
        {{ block_facts('entry.message.content') }} as content_blocks
    from typed
)

select * from final
