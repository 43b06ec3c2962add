{{ config(
    pre_hook=[
        "{{ note_owners() }}",
        "{{ delete_touched('message_id', touched_messages()) }}"
    ],
    post_hook="{{ note_owners() }}"
) }}

{%- set by_copy = [
    'called_at', 'is_subagent_file', 'file_key', 'file_generation', 'position', 'entry_id'
] %}

with uses as (
    select * from {{ ref('int_tool_uses') }}
),

results as (
    select * from {{ ref('int_tool_results') }}
),

responses as (
    select response_key, session_id, is_subagent from {{ ref('int_api_responses') }}
),

places as (
    select file_key, file_generation, tool_use_id, position, use_key, null as result_key
    from uses
    union all
    select file_key, file_generation, tool_use_id, position, null as use_key, result_key
    from results
),

-- the first result after the use in its file
following as (
    select
        use_key,
        first_value(result_key ignore nulls) over (
            partition by file_key, file_generation, tool_use_id
            order by position, result_key
            rows between current row and unbounded following
        ) as result_key
    from places
),

-- failing that, the first one in its session
anywhere as (
    select
        session_id, tool_use_id,
        {{ first_value_by('result_key', [
            'finished_at', 'file_key', 'file_generation', 'position', 'entry_id'
        ]) }} as result_key
    from results
    group by session_id, tool_use_id
),

calls as (
    select
        uses.response_key, uses.tool_use_id, uses.ordinal,
        {{ first_value_by('uses.use_key', by_copy) }} as use_key,
        coalesce(
            {{ first_value_by('following.result_key', by_copy) }},
            {{ first_value_by('anywhere.result_key', by_copy) }}
        ) as result_key
    from uses
    left join following on uses.use_key = following.use_key
    left join anywhere
        on uses.session_id = anywhere.session_id and uses.tool_use_id = anywhere.tool_use_id
    group by uses.response_key, uses.tool_use_id, uses.ordinal
),

final as (
    select
        {{ hash_key(['calls.response_key', 'calls.tool_use_id', 'calls.ordinal']) }}
            as tool_call_key,
        calls.response_key, calls.tool_use_id, calls.ordinal, uses.message_id,
        coalesce(responses.session_id, uses.session_id) as session_id,
        coalesce(responses.is_subagent, uses.is_subagent) as is_subagent,
        uses.cwd, uses.project_id, uses.tool_name, uses.called_at, uses.input_bytes,
        results.finished_at, results.is_error, results.result_bytes,
        calls.result_key is not null as has_result
    from calls
    inner join uses on calls.use_key = uses.use_key
    left join results on calls.result_key = results.result_key
    left join responses on calls.response_key = responses.response_key
)

select * from final
