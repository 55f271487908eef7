{#
  Prints the YAML of a source with a table for each stream of a connector:

    dbt --quiet run-operation apikit.source_yaml --args '{connector: github}' > models/github.yml

  `name` is the source's, the connector's unless given; `plugin` is the alias of the plugin in profiles.yml. Streams that
  declare no columns have none here, and nothing is sent.
#}
{% macro source_yaml(connector, name=none, plugin='apikit') %}
  {%- if not execute -%}{{ return('') }}{%- endif -%}
  {%- set literal = "'" ~ connector | replace("'", "''") ~ "'" -%}
  {%- set tables = [] -%}
  {%- for row in run_query('SELECT stream, description, columns FROM apikit_streams(' ~ literal ~ ') ORDER BY ALL').rows -%}
    {%- set columns = [] -%}
    {%- if row['columns'] -%}
      {%- for each in run_query('SELECT name, type FROM apikit_schema(' ~ literal ~ ", '" ~ row['stream'] ~ "')").rows -%}
        {%- do columns.append({'name': each['name'], 'data_type': each['type']}) -%}
      {%- endfor -%}
    {%- endif -%}
    {%- set table = {'name': row['stream'], 'description': apikit.without_jinja(row['description'])} -%}
    {%- if columns -%}{%- do table.update({'columns': columns}) -%}{%- endif -%}
    {%- do tables.append(table) -%}
  {%- endfor -%}
  {%- set meta = {'plugin': plugin, 'connector': connector} -%}
  {%- set source = {'name': name or connector, 'config': {'meta': meta}, 'tables': tables} -%}
  {%- do print(toyaml({'version': 2, 'sources': [source]}, sort_keys=false)) -%}
{% endmacro %}

{#- `text` as dbt shows it: in a description it reads Jinja. -#}
{% macro without_jinja(text) -%}
  {%- set shown = text or '' -%}
  {%- for mark in ['{' ~ '{', '{' ~ '%', '{' ~ '#'] -%}
    {%- set shown = shown | replace(mark, '{ ' ~ mark[1:]) -%}
  {%- endfor -%}
  {{- return(shown) -}}
{%- endmacro %}
