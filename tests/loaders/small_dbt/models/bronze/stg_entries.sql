{{ config(materialized='incremental', incremental_strategy='append') }}

select entry_id, session_id, timestamp as occurred_at, json_extract_string(raw, '$.key') as key
from {{ source('raw', 'new_records' if is_incremental() else 'records') }}
where record_kind = 'entry'
{% if is_incremental() %}
    and entry_id not in (select entry_id from {{ this }})
{% endif %}
qualify row_number() over (partition by entry_id order by seq) = 1
