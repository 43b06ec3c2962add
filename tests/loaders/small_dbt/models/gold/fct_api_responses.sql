{{ config(materialized='incremental', incremental_strategy='append', pre_hook="{% if is_incremental() %}delete from {{ this }} where session_id in (select session_id from {{ source('meta', 'pending_sessions') }}){% endif %}") }}

select key as response_key, session_id, occurred_at, cast(occurred_at as date) as usage_date
from {{ ref('stg_entries') }}
{% if is_incremental() %}
where session_id in (select session_id from {{ source('meta', 'pending_sessions') }})
{% endif %}
