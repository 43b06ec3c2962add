{{ config(materialized='table') }}

select session_id, count(*) as entries, '{{ var("timezone") }}' as timezone
from {{ ref('stg_entries') }}
group by session_id
