{{ config(materialized='ephemeral') }}

select distinct session_id
from {{ source('annals', 'pending_sessions') }}
where session_id is not null
