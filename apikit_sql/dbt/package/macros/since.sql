{#
  A predicate for an incremental model that reads an API: `where {{ apikit.since('updated_at') }}`.

  The greatest value in the model's own table goes into a variable of DuckDB, which reaches the API where the column is
  one that it answers; a subquery would not. True in the first run, in a full refresh and while the table is empty.
  `lookback` is an interval to begin earlier: "INTERVAL 1 DAY".
#}
{% macro since(column, lookback=none, variable='since') -%}
  {%- if is_incremental() -%}
    {%- set newest = 'max(' ~ column ~ ')' ~ (' - ' ~ lookback if lookback else '') -%}
    {%- do run_query('SET VARIABLE ' ~ variable ~ ' = (SELECT ' ~ newest ~ ' FROM ' ~ this ~ ')') -%}
    {%- set is_known = run_query("SELECT getvariable('" ~ variable ~ "') IS NOT NULL AS is_known") -%}
    {{- column ~ " >= getvariable('" ~ variable ~ "')" if is_known.rows[0][0] else 'true' -}}
  {%- else -%}
    true
  {%- endif -%}
{%- endmacro %}
