{{ config(materialized='ephemeral') }}

select distinct usage_date
from {{ source('annals', 'pending_days') }}
