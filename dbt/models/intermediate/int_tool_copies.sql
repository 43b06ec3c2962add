{{ config(materialized='ephemeral') }}

{%- set by_copy = [
    'is_nested', 'called_at', 'is_subagent_file', 'file_key', 'file_generation', 'position',
    'entry_id'
] %}
{%- set by_place = [
    'is_nested', 'finished_at', 'file_key', 'file_generation', 'position', 'entry_id'
] %}

with mentions as (
    select tool_use_id, 1 as uses, 0 as results from {{ ref('int_tool_uses') }}
    union all
    select tool_use_id, 0 as uses, 1 as results from {{ ref('int_tool_results') }}
),

repeated as (
    select tool_use_id
    from mentions
    group by tool_use_id
    having sum(uses) > 1 or (sum(uses) = 1 and sum(results) > 1)
),

-- a record repeated within its file is one use
repeated_uses as (
    select
        *,
        row_number() over (
            partition by
                response_key, tool_use_id, file_key, file_generation, block_index,
                coalesce(uuid, entry_id)
            order by position, entry_id
        ) as repetition
    from {{ ref('int_tool_uses') }}
    where tool_use_id in (select tool_use_id from repeated)
),

-- some gateways give several calls of a response the same id
numbered_uses as (
    select
        *,
        row_number() over (
            partition by response_key, tool_use_id, file_key, file_generation
            order by position, entry_id
        ) as ordinal
    from repeated_uses
    where repetition = 1
),

places as (
    select file_key, file_generation, tool_use_id, position, use_key, null as result_key
    from numbered_uses
    union all
    select file_key, file_generation, tool_use_id, position, null as use_key, result_key
    from {{ ref('int_tool_results') }}
    where tool_use_id in (select tool_use_id from repeated)
),

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

anywhere as (
    select
        session_id, tool_use_id, {{ first_value_by('result_key', by_place) }} as result_key
    from {{ ref('int_tool_results') }}
    where tool_use_id in (select tool_use_id from repeated)
    group by session_id, tool_use_id
),

final as (
    select
        uses.response_key, uses.tool_use_id, uses.ordinal,
        {{ first_value_by('uses.use_key', by_copy) }} as use_key,
        coalesce(
            {{ first_value_by('following.result_key', by_copy) }},
            {{ first_value_by('anywhere.result_key', by_copy) }}
        ) as result_key
    from numbered_uses as uses
    left join following on uses.use_key = following.use_key
    left join anywhere
        on uses.session_id = anywhere.session_id and uses.tool_use_id = anywhere.tool_use_id
    group by uses.response_key, uses.tool_use_id, uses.ordinal
)

select * from final
