{{ config(pre_hook="{{ delete_touched('message_id', touched_messages()) }}") }}

{%- set of_use = 'uses.' ~ [
    'response_key', 'message_id', 'session_id', 'tool_use_id', 'is_subagent', 'is_nested',
    'tool_name', 'called_at', 'input_bytes'
] | join(', uses.') %}
{%- set of_result = 'results.' ~ [
    'result_key', 'finished_at', 'is_error', 'result_bytes'
] | join(', results.') %}

with responses as (
    select response_key, session_id, is_subagent from {{ ref('int_api_responses') }}
),

copies as (
    select * from {{ ref('int_tool_copies') }}
),

-- nearly all ids occur once on either side; a result counts in the call's session, or later in
-- its file
once as (
    select
        {{ of_use }}, {{ of_result }},
        coalesce(
            uses.session_id = results.session_id
            or (
                uses.file_key = results.file_key
                and uses.file_generation = results.file_generation
                and uses.position < results.position
            ), false
        ) as has_result
    from {{ ref('int_tool_uses') }} as uses
    left join {{ ref('int_tool_results') }} as results on uses.tool_use_id = results.tool_use_id
    where uses.tool_use_id not in (select tool_use_id from copies)
),

repeated as (
    select
        {{ of_use }}, {{ of_result }}, results.result_key is not null as has_result,
        copies.ordinal
    from copies
    inner join {{ ref('int_tool_uses') }} as uses on copies.use_key = uses.use_key
    left join {{ ref('int_tool_results') }} as results on copies.result_key = results.result_key
),

paired as (
    select *, 1 as ordinal from once
    union all
    select * from repeated
),

final as (
    select
        {{ hash_key(['paired.response_key', 'paired.tool_use_id', 'paired.ordinal']) }}
            as tool_call_key,
        paired.response_key, paired.tool_use_id, paired.ordinal, paired.message_id,
        coalesce(responses.session_id, paired.session_id) as session_id,
        coalesce(responses.is_subagent, paired.is_subagent) as is_subagent,
        paired.is_nested, paired.tool_name, paired.called_at, paired.input_bytes,
        paired.has_result,
        case when paired.has_result then paired.finished_at end as finished_at,
        case when paired.has_result then paired.is_error end as is_error,
        case when paired.has_result then paired.result_bytes end as result_bytes
    from paired
    left join responses on paired.response_key = responses.response_key
)

select * from final
