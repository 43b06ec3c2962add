{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key='entry_id'
) }}

{%- set copy_order = 'file_generation, project_id, host' %}

with records as (
    select
        entry_id, session_id, coalesce(project_id, '') as project_id, coalesce(host, '') as host,
        file_key, coalesce(file_generation, 0) as file_generation, byte_offset, byte_length,
        type as entry_type, uuid, parent_uuid, timestamp as occurred_at, request_id,
        version as claude_version, cwd, git_branch,
        coalesce(is_sidechain, false) as is_sidechain, raw
    from {{ source('lake', 'new_records' if is_incremental() else 'records') }}
    where record_kind = 'entry'
),

{% if is_incremental() -%}
known as (
    select entry_id, {{ copy_order }}
    from {{ this }}
    where entry_id in (select entry_id from records)
),

-- a copy that was read from a lesser place replaces the entry, so that order does not matter
wanted as (
    select records.*
    from records
    left join known on records.entry_id = known.entry_id
    where
        known.entry_id is null
        or (records.file_generation, records.project_id, records.host)
        < (known.file_generation, known.project_id, known.host)
),
{%- else -%}
wanted as (
    select * from records
),
{%- endif %}

parsed as (
    select
        *,
        {{ json_struct('raw', entry_shape()) }} as entry
    from wanted
),

typed as (
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
        entry.data.message.message is not null as is_nested,
        coalesce(
            entry_type = 'assistant' or entry.message.role = 'assistant'
            or entry.data.message.type = 'assistant'
            or entry.data.message.message.role = 'assistant', false
        ) as is_response,
        coalesce(nullif(entry.message.id, ''), nullif(entry.data.message.message.id, ''))
            as given_message_id,
        coalesce(nullif(request_id, ''), nullif(entry.data.message.requestId, ''))
            as given_request_id,
        coalesce({{ instant('entry.data.message.timestamp') }}, occurred_at) as message_at,
        coalesce(entry.message.model, entry.data.message.message.model) as model_id,
        coalesce(entry.message.stop_reason, entry.data.message.message.stop_reason) as stop_reason,
        coalesce(entry.message.usage, entry.data.message.message.usage) as usage,
        {{ block_facts('entry.message.content') }} as content_blocks
    from parsed
),

counted as (
    select
        entry_id, session_id, project_id, host, file_key, file_generation, byte_offset,
        byte_length, is_subagent_file, entry_type, entry_subtype, uuid, parent_uuid, occurred_at,
        claude_version, cwd, git_branch, is_sidechain, is_meta, is_compact_summary, is_api_error,
        is_human_turn, is_nested, message_at,
        case when is_response
            then coalesce(given_message_id, given_request_id, uuid, entry_id)
        end as message_id,
        case when is_response then given_request_id end as request_id,
        model_id, stop_reason, is_response and usage is not null as has_usage,
        {{ token_count('usage.input_tokens') }} as input_tokens,
        {{ token_count('usage.output_tokens') }} as output_tokens,
        {{ token_count('usage.cache_creation_input_tokens') }} as cache_creation_tokens,
        {{ token_count('usage.cache_creation.ephemeral_5m_input_tokens') }} as cache_5m_tokens,
        {{ token_count('usage.cache_creation.ephemeral_1h_input_tokens') }} as cache_1h_tokens,
        {{ token_count('usage.cache_read_input_tokens') }} as cache_read_tokens,
        {{ token_count('usage.server_tool_use.web_search_requests') }} as web_search_requests,
        usage.service_tier as service_tier, usage.speed as speed,
        usage.inference_geo as inference_geo, content_blocks
    from typed
),

-- few entries come in copies: only these are ranked
copied as (
    select entry_id from counted group by entry_id having count(*) > 1
),

ranked as (
    select *, 1 as copy_number
    from counted
    where entry_id not in (select entry_id from copied)
    union all
    select *, row_number() over (partition by entry_id order by {{ copy_order }}) as copy_number
    from counted
    where entry_id in (select entry_id from copied)
),

final as (
    select {{ entry_columns() | join(', ') }}
    from ranked
    where copy_number = 1
)

select * from final
