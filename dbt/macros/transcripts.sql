{# What is known about transcripts of Claude Code (docs/specs/accounting.md). #}

{# The parts of an entry that are looked at; all other content is skipped by the parser. #}
{% macro entry_shape() -%}
    {%- set usage = {
        'input_tokens': 'VARCHAR',
        'output_tokens': 'VARCHAR',
        'cache_creation_input_tokens': 'VARCHAR',
        'cache_read_input_tokens': 'VARCHAR',
        'cache_creation': {
            'ephemeral_5m_input_tokens': 'VARCHAR', 'ephemeral_1h_input_tokens': 'VARCHAR'
        },
        'server_tool_use': {'web_search_requests': 'VARCHAR'},
        'service_tier': 'VARCHAR',
        'speed': 'VARCHAR',
        'inference_geo': 'VARCHAR',
    } -%}
    {%- set message = {
        'id': 'VARCHAR', 'model': 'VARCHAR', 'role': 'VARCHAR', 'stop_reason': 'VARCHAR',
        'usage': usage
    } -%}
    {%- set block = {
        'type': 'VARCHAR', 'id': 'VARCHAR', 'tool_use_id': 'VARCHAR', 'name': 'VARCHAR',
        'is_error': 'VARCHAR', 'text': 'VARCHAR', 'thinking': 'VARCHAR', 'input': 'VARCHAR',
        'content': 'VARCHAR'
    } -%}
    {%- set top_message = dict(message, content=[block]) -%}
    {{ return({
        'subtype': 'VARCHAR',
        'isMeta': 'VARCHAR',
        'isCompactSummary': 'VARCHAR',
        'isVisibleInTranscriptOnly': 'VARCHAR',
        'isApiErrorMessage': 'VARCHAR',
        'origin': {'kind': 'VARCHAR'},
        'message': top_message,
        'data': {
            'type': 'VARCHAR',
            'message': {
                'type': 'VARCHAR', 'timestamp': 'VARCHAR', 'requestId': 'VARCHAR',
                'isApiErrorMessage': 'VARCHAR', 'message': message
            }
        },
        'attachment': {
            'type': 'VARCHAR', 'commandMode': 'VARCHAR', 'isMeta': 'VARCHAR',
            'prompt': 'VARCHAR', 'origin': {'kind': 'VARCHAR'}
        }
    }) }}
{%- endmacro %}

{# A token count: a whole number from 0 to a thousand million. Anything else is not a count. #}
{% macro token_count(column) -%}
    {%- set number = whole_number(column) -%}
    (case when {{ number }} between 0 and 1000000000 then {{ number }} end)
{%- endmacro %}

{% macro whole_number(column) -%}
    {{ return(adapter.dispatch('whole_number')(column)) }}
{%- endmacro %}

{% macro default__whole_number(column) -%}
    try_cast({{ column }} as bigint)
{%- endmacro %}

{% macro duckdb__whole_number(column) -%}
    try_cast({{ column }} as bigint)
{%- endmacro %}

{# Transcripts of subagents: agent-*.jsonl, flat or below subagents/. #}
{% macro is_subagent_file(column) -%}
    (
        {{ column }} like 'agent-%'
        or {{ column }} like '%/agent-%'
        or {{ column }} like '%/subagents/%'
    )
{%- endmacro %}

{# Text that a program put into a user record, not a person. #}
{% macro is_injected_text(column) -%}
    {%- set openings = [
        '<command-', '<local-command', '<bash-', '<task-notification>', '<teammate-message',
        '<ide_', '<system-reminder>', '\\[Request interrupted', 'Caveat:'
    ] -%}
    {{ matches(column, "'^\\s*(" ~ openings | join('|') ~ ")'") }}
{%- endmacro %}

{# Project identity: a path (record's, else its session's), else the folder. Windows paths are
   the same whatever their case and slashes. #}
{% macro project_identity(cwd, session_cwd, folder) -%}
    case
        when coalesce({{ cwd }}, {{ session_cwd }}) is null
            then 'folder ' || {{ folded_folder(folder) }}
        else 'path ' || {{ folded_path('coalesce(' ~ cwd ~ ', ' ~ session_cwd ~ ')') }}
    end
{%- endmacro %}

{% macro folded_path(column) -%}
    case
        when {{ is_windows_path(column) }}
            then lower(rtrim(replace({{ column }}, '/', chr(92)), chr(92)))
        when {{ column }} = '/' then '/'
        else rtrim({{ column }}, '/')
    end
{%- endmacro %}

{% macro folded_folder(column) -%}
    case when {{ matches(column, "'^[A-Za-z]--'") }} then lower({{ column }}) else {{ column }} end
{%- endmacro %}

{% macro is_windows_path(column) -%}
    {{ matches(column, "'^([A-Za-z]:|\\\\\\\\)'") }}
{%- endmacro %}

{# The last part of a path, for display. #}
{% macro path_name(column) -%}
    {{ return(adapter.dispatch('path_name')(column)) }}
{%- endmacro %}

{% macro default__path_name(column) -%}
    regexp_extract({{ column }}, '([^/\\\\]*)[/\\\\]*$', 1)
{%- endmacro %}

{% macro duckdb__path_name(column) -%}
    regexp_extract({{ column }}, '([^/\\]*)[/\\]*$', 1)
{%- endmacro %}

{# Whether a person typed this entry. Builds that name the origin are believed; of others a user
   record counts unless it is a sidechain's, injected, a compact summary or a tool result, and has
   something of its own to say. Prompts typed while the agent was busy are attachments. Expects the
   columns json, entry and plain_text. #}
{% macro is_human_turn() -%}
    {%- set own_words -%}
        item.type in ('image', 'document')
        or (item.type = 'text' and {{ is_human_text('item.text') }})
    {%- endset -%}
    {%- set tool_result = "item.type = 'tool_result'" -%}
    coalesce(case
        when entry_type = 'attachment' and entry.attachment.type = 'queued_command'
            then {{ is_queued_prompt() }}
        when coalesce(entry_type, '') <> 'user' or is_sidechain then false
        when entry.origin.kind is not null then entry.origin.kind = 'human'
        when 'true' in (entry.isMeta, entry.isCompactSummary, entry.isVisibleInTranscriptOnly)
            then false
        when entry.message.content is null
            then {{ is_human_text('plain_text') }}
        when {{ list_count_where('entry.message.content', tool_result) }} > 0
            or {{ list_count_where('entry.message.content', own_words) }} = 0 then false
        else {{ json_text('json', '$.toolUseResult') }} is null
    end, false)
{%- endmacro %}

{% macro is_queued_prompt() -%}
    not is_sidechain
    and coalesce(entry.attachment.commandMode, 'prompt') = 'prompt'
    and coalesce(entry.attachment.origin.kind, 'human') = 'human'
    and coalesce(entry.attachment.isMeta, entry.isMeta, 'false') <> 'true'
    and {{ is_human_text('entry.attachment.prompt') }}
{%- endmacro %}

{# Of a text that is not blank the left end is enough to tell. #}
{% macro is_human_text(text) -%}
    (ltrim({{ text }}) <> '' and not {{ is_injected_text(text) }})
{%- endmacro %}

{% macro project_key(cwd, session_cwd, folder) -%}
    {{ hash_key([project_identity(cwd, session_cwd, folder)]) }}
{%- endmacro %}

{# Whether a record is of a conversation, not of another program (docs/specs/byte-ledger.md, L-10).
   The types are those that Claude Code writes, with or without a uuid. #}
{% macro is_conversation(entry_type='entry_type', uuid='uuid') -%}
    {%- set known_types = [
        'agent-color', 'agent-name', 'agent-setting', 'ai-title', 'assistant', 'attachment',
        'attribution-snapshot', 'bridge-session', 'content-replacement', 'continued-in',
        'cost-state', 'custom-title', 'ended', 'file-history-delta', 'file-history-snapshot',
        'fork-context-ref', 'frame-link', 'last-prompt', 'mode', 'permission-mode', 'pr-link',
        'progress', 'queue-operation', 'relocated', 'summary', 'system', 'tag', 'task-summary',
        'teleported-from', 'user', 'worktree-state'
    ] -%}
    coalesce(
        {{ entry_type }} in ('{{ known_types | join("', '") }}')
        or ({{ entry_type }} is not null and {{ uuid }} is not null), false
    )
{%- endmacro %}
