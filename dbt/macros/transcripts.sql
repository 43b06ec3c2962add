{# What is known about transcripts of Claude Code (docs/specs/accounting.md). #}

{# The parts of an entry that are looked at; all other content is skipped by the parser. #}
{% macro entry_shape() -%}
    {%- set step = {
        'type': 'VARCHAR', 'model': 'VARCHAR', 'input_tokens': 'VARCHAR',
        'output_tokens': 'VARCHAR', 'cache_creation_input_tokens': 'VARCHAR',
        'cache_read_input_tokens': 'VARCHAR',
        'cache_creation': {
            'ephemeral_5m_input_tokens': 'VARCHAR', 'ephemeral_1h_input_tokens': 'VARCHAR'
        }
    } -%}
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
        'iterations': [step]
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
        'turnOrigin': 'VARCHAR',
        'promptSource': 'VARCHAR',
        'costUSD': 'VARCHAR',
        'forkedFrom': {'messageUuid': 'VARCHAR'},
        'worktreeSession': {'originalCwd': 'VARCHAR', 'worktreePath': 'VARCHAR'},
        'totalCostUSD': 'VARCHAR',
        'modelUsage': 'VARCHAR',
        'customTitle': 'VARCHAR',
        'aiTitle': 'VARCHAR',
        'summary': 'VARCHAR',
        'leafUuid': 'VARCHAR',
        'message': top_message,
        'data': {
            'type': 'VARCHAR',
            'message': {
                'type': 'VARCHAR', 'uuid': 'VARCHAR', 'timestamp': 'VARCHAR',
                'requestId': 'VARCHAR', 'isApiErrorMessage': 'VARCHAR', 'message': top_message
            }
        },
        'attachment': {
            'type': 'VARCHAR', 'commandMode': 'VARCHAR', 'isMeta': 'VARCHAR',
            'prompt': 'VARCHAR', 'origin': {'kind': 'VARCHAR'}
        }
    }) }}
{%- endmacro %}

{# Columns of counts, and where usage has them. #}
{% macro usage_counts() -%}
    {{ return({
        'input_tokens': 'input_tokens',
        'output_tokens': 'output_tokens',
        'cache_creation_tokens': 'cache_creation_input_tokens',
        'cache_5m_tokens': 'cache_creation.ephemeral_5m_input_tokens',
        'cache_1h_tokens': 'cache_creation.ephemeral_1h_input_tokens',
        'cache_read_tokens': 'cache_read_input_tokens',
        'web_search_requests': 'server_tool_use.web_search_requests'
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

{# Whether a person typed this entry. A schedule, a hook or another session is not a person;
   builds that name the origin are believed; of others a user record counts unless it is a
   sidechain's, injected, a compact summary or a tool result, and has something of its own to say.
   Prompts typed while the agent was busy are attachments. Expects the columns json, entry and
   plain_text. #}
{% macro is_human_turn() -%}
    {%- set own_words = is_human_block() -%}
    {%- set tool_result = "item.type = 'tool_result'" -%}
    coalesce(case
        when coalesce(entry_type, '') not in ('user', 'attachment') or is_sidechain then false
        when {{ is_sent_by_program('entry.turnOrigin') }}
            or {{ is_sent_by_program('entry.promptSource') }} then false
        when entry_type = 'attachment'
            then entry.attachment.type = 'queued_command' and {{ is_queued_prompt() }}
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

{# Content that is a text, not a list of blocks. #}
{% macro plain_text_of_user() -%}
    case when entry_type = 'user' and entry.message.content is null
        then {{ json_text('json', '$.message.content') }}
    end
{%- endmacro %}

{# The beginning of what a prompt says: text, or the first of its blocks that a person wrote. #}
{% macro prompt_beginning() -%}
    {%- set own_words = "item.type = 'text' and " ~ is_human_text('item.text') -%}
    {%- set prompt = 'entry.attachment.prompt' -%}
    case
        when entry_type = 'user' then substr(coalesce(
            plain_text, {{ first_item_where('entry.message.content', own_words) }}.text
        ), 1, 300)
        when entry_type = 'attachment' and {{ is_list_text(prompt) }}
            then substr({{ first_item_where(prompt_blocks(prompt), own_words) }}.text, 1, 300)
        when entry_type = 'attachment' then substr({{ prompt }}, 1, 300)
    end
{%- endmacro %}

{# The title that a record gives to a session; a summary gives it to that of another record. #}
{% macro given_title() -%}
    substr(case entry_type
        when 'custom-title' then entry.customTitle
        when 'ai-title' then entry.aiTitle
        when 'summary' then entry.summary
    end, 1, 300)
{%- endmacro %}

{# Whether a text that may be JSON is a list of objects. #}
{% macro is_list_text(column) -%}
    {{ matches(column, "'^\\s*\\[\\s*[{\\]]'") }} and {{ readable_json(column) }} is not null
{%- endmacro %}

{% macro prompt_blocks(column) -%}
    {{ json_struct(readable_json(column), [{'type': 'VARCHAR', 'text': 'VARCHAR'}]) }}
{%- endmacro %}

{# The prompt is text or a list of blocks; a list that holds injected text alone is not a turn. #}
{% macro is_queued_prompt() -%}
    {%- set prompt = 'entry.attachment.prompt' -%}
    coalesce(entry.attachment.commandMode, 'prompt') = 'prompt'
    and coalesce(entry.attachment.origin.kind, entry.origin.kind, 'human') = 'human'
    and coalesce(entry.attachment.isMeta, entry.isMeta, 'false') <> 'true'
    and case
        when {{ is_list_text(prompt) }}
            then {{ list_count_where(prompt_blocks(prompt), is_human_block()) }} > 0
        else {{ is_human_text(prompt) }}
    end
{%- endmacro %}

{# Whether a content block holds something that a person typed or added. #}
{% macro is_human_block() -%}
    item.type in ('image', 'document') or (item.type = 'text' and {{ is_human_text('item.text') }})
{%- endmacro %}

{# Values of turnOrigin and promptSource of prompts that no person sent. #}
{% macro is_sent_by_program(column) -%}
    coalesce(replace(lower({{ column }}), '-', '_') in (
        'scheduled', 'schedule', 'peer', 'hook', 'task_notification', 'system'
    ), false)
{%- endmacro %}

{# Of a text that is not blank the left end is enough to tell. #}
{% macro is_human_text(text) -%}
    (ltrim({{ text }}) <> '' and not {{ is_injected_text(text) }})
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
