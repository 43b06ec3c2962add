{# Which response a row belongs to (docs/specs/accounting.md, A-01). #}

{# Ids in a vendor's own form are unique; only the short ids of gateways are not. #}
{% macro is_vendor_id(column) -%}
    (
        left({{ column }}, 9) = 'msg_bdrk_'
        or (left({{ column }}, 4) = 'msg_' and length({{ column }}) >= 24)
    )
{%- endmacro %}

{# Rows that take the request id which their message has elsewhere, if there is exactly one. #}
{% macro takes_request_id(row) -%}
    (
        {{ row }}.is_nested
        or {{ row }}.fork_of_uuid is not null
        or {{ is_vendor_id(row ~ '.message_id') }}
    )
{%- endmacro %}

{# The CTE seen: when the file that a fork was made of first saw the message. Expects the CTEs
   nameless and first_seen; a fork may have been made of a fork. #}
{% macro fork_origins() -%}
    ancestry as (
        select message_id, file_key, fork_of_uuid as ancestor_uuid
        from nameless
        where fork_of_uuid is not null and not {{ is_vendor_id('message_id') }}
        union
        select ancestry.message_id, ancestry.file_key, nameless.fork_of_uuid
        from ancestry
        inner join nameless
            on
                ancestry.message_id = nameless.message_id
                and ancestry.ancestor_uuid = nameless.uuid
        where nameless.fork_of_uuid is not null
    ),

    origins as (
        select
            ancestry.message_id, ancestry.file_key,
            min(first_seen.first_seen_at) as origin_seen_at
        from ancestry
        inner join nameless
            on
                ancestry.message_id = nameless.message_id
                and ancestry.ancestor_uuid = nameless.uuid
        inner join first_seen
            on
                nameless.message_id = first_seen.message_id
                and nameless.file_key = first_seen.file_key
        group by ancestry.message_id, ancestry.file_key
    ),

    seen as (
        select
            first_seen.message_id, first_seen.file_key,
            coalesce(origins.origin_seen_at, first_seen.first_seen_at) as first_seen_at
        from first_seen
        left join origins
            on
                first_seen.message_id = origins.message_id
                and first_seen.file_key = origins.file_key
    )
{%- endmacro %}
