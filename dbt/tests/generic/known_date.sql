{# A day within the calendar's range is in the calendar; clocks that are years off may lie outside. #}
{% test known_date(model, column_name, to, field) %}
select {{ column_name }}
from {{ model }}
where
    {{ column_name }} between (select min({{ field }}) from {{ to }}) and (select max({{ field }}) from {{ to }})
    and {{ column_name }} not in (select {{ field }} from {{ to }})
{% endtest %}
