{{ config(tags='static') }}

with days as (
    {{ date_rows('2023-01-01', '2035-12-31') }}
),

final as (
    select
        date_day,
        {{ date_part('year', 'date_day') }} as year,
        {{ date_part('quarter', 'date_day') }} as quarter,
        {{ date_part('month', 'date_day') }} as month,
        {{ iso_week('date_day') }} as iso_week,
        {{ iso_day_of_week('date_day') }} as day_of_week,
        {{ day_name('date_day') }} as day_name,
        {{ iso_day_of_week('date_day') }} in (6, 7) as is_weekend
    from days
)

select * from final
