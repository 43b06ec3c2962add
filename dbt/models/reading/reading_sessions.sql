{{ config(alias='sessions', materialized='view', tags='static') }}

{%- set by_place = ['file_generation', 'byte_offset', 'file_key', 'entry_id'] %}
{%- set by_time = ['occurred_at', 'file_key', 'file_generation', 'byte_offset', 'entry_id'] %}

with sessions as (
    select session_id, project_path, cwd from {{ ref('int_sessions') }}
),

given as (
    select
        session_id, entry_type, title, title_of_uuid,
        {{ by_place | join(', ') }}
    from {{ ref('stg_claude_code__entries') }}
    where title <> ''
),

-- a summary often lies in another file than the session that it is the title of
summarised as (
    select distinct uuid, session_id
    from {{ ref('stg_claude_code__entries') }}
    where uuid in (select title_of_uuid from given where title_of_uuid is not null)
),

titled as (
    select
        coalesce(summarised.session_id, given.session_id) as session_id,
        {{ last_value_by("case when entry_type = 'custom-title' then title end", by_place) }}
            as custom_title,
        {{ last_value_by("case when entry_type = 'ai-title' then title end", by_place) }}
            as ai_title,
        {{ last_value_by("case when entry_type = 'summary' then title end", by_place) }}
            as summary
    from given
    left join summarised on given.title_of_uuid = summarised.uuid
    where given.entry_type <> 'summary' or summarised.session_id is not null
    group by coalesce(summarised.session_id, given.session_id)
),

prompted as (
    select session_id, {{ first_value_by('prompt', by_time) }} as prompt
    from {{ ref('stg_claude_code__entries') }}
    where is_human_turn and prompt <> ''
    group by session_id
),

final as (
    select
        sessions.session_id,
        cast(coalesce(
            titled.custom_title, titled.ai_title, titled.summary, prompted.prompt
        ) as varchar) as title,
        case
            when titled.custom_title is not null then 'custom'
            when titled.ai_title is not null then 'ai'
            when titled.summary is not null then 'summary'
            when prompted.prompt is not null then 'prompt'
        end as title_source,
        sessions.project_path,
        sessions.cwd
    from sessions
    left join titled on sessions.session_id = titled.session_id
    left join prompted on sessions.session_id = prompted.session_id
)

select * from final
