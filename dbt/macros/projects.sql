{# Project identity: the folder in which a session was started (docs/specs/accounting.md, A-11). #}

{# A key of the project: the path with its spelling folded, else the transcript's folder. #}
{% macro project_key(path, folder) -%}
    {%- set identity -%}
        case
            when {{ path }} is null then 'folder ' || {{ folded_folder(folder) }}
            else 'path ' || {{ folded_path(path) }}
        end
    {%- endset -%}
    {{ hash_key([identity]) }}
{%- endmacro %}

{# The path of the project whose worktree a path lies in, below .claude/worktrees; else the path. #}
{% macro project_root(column) -%}
    {{ return(adapter.dispatch('project_root')(column)) }}
{%- endmacro %}

{% macro default__project_root(column) -%}
    regexp_replace({{ column }}, '(.)[/\\\\]\\.claude[/\\\\]worktrees[/\\\\].*$', '$1')
{%- endmacro %}

{% macro duckdb__project_root(column) -%}
    regexp_replace({{ column }}, '(.)[/\\]\.claude[/\\]worktrees[/\\].*$', '\1')
{%- endmacro %}

{# Windows paths are the same whatever their drive's spelling, case and slashes, /mnt/c included;
   letters are the same however their accents are encoded. #}
{% macro folded_path(column) -%}
    case
        when {{ is_windows_path(column) }}
            then lower(rtrim(replace({{ composed(column) }}, '/', chr(92)), chr(92)))
        when {{ matches(column, "'^/mnt/[A-Za-z](/|$)'") }}
            then lower(substr({{ column }}, 6, 1)) || ':'
                || lower(rtrim(replace(substr({{ composed(column) }}, 7), '/', chr(92)), chr(92)))
        when rtrim({{ column }}, '/') = '' then '/'
        else rtrim({{ composed(column) }}, '/')
    end
{%- endmacro %}

{# A transcript's folder with the worktree's part cut off; a drive's letter has no case. #}
{% macro folded_folder(column) -%}
    {{ return(adapter.dispatch('folded_folder')(column)) }}
{%- endmacro %}

{% macro default__folded_folder(column) -%}
    case
        when {{ matches(column, "'^[A-Za-z]--'") }}
            then regexp_replace(lower({{ column }}), '(.)--claude-worktrees-.*$', '$1')
        else regexp_replace({{ column }}, '(.)--claude-worktrees-.*$', '$1')
    end
{%- endmacro %}

{% macro duckdb__folded_folder(column) -%}
    case
        when {{ matches(column, "'^[A-Za-z]--'") }}
            then regexp_replace(lower({{ column }}), '(.)--claude-worktrees-.*$', '\1')
        else regexp_replace({{ column }}, '(.)--claude-worktrees-.*$', '\1')
    end
{%- endmacro %}

{% macro is_windows_path(column) -%}
    {{ matches(column, "'^([A-Za-z]:|\\\\\\\\)'") }}
{%- endmacro %}

{# Text in Unicode's composed form (NFC). #}
{% macro composed(column) -%}
    {{ return(adapter.dispatch('composed')(column)) }}
{%- endmacro %}

{% macro default__composed(column) -%}
    {{ column }}
{%- endmacro %}

{% macro duckdb__composed(column) -%}
    nfc_normalize({{ column }})
{%- endmacro %}

{# Whether a path is a folder or lies below it. #}
{% macro is_at_or_below(path, folder) -%}
    (
        left({{ path }}, length({{ folder }})) = {{ folder }}
        and substr({{ path }}, length({{ folder }}) + 1, 1) in ('', '/', chr(92))
    )
{%- endmacro %}

{# The last part of a path, for display. #}
{% macro path_name(column) -%}
    {{ return(adapter.dispatch('path_name')(column)) }}
{%- endmacro %}

{% macro default__path_name(column) -%}
    regexp_extract({{ column }}, '([^/\\\\]*)[/\\\\]*$', 1)
{%- endmacro %}

{% macro duckdb__path_name(column) -%}
    regexp_extract({{ column }}, '([^/\\]*)[/\\]*$', 1)
{%- endmacro %}
