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
        {%- set type = apikit.name_without_jinja(each['type']) -%}
        {%- do columns.append({'name': apikit.name_without_jinja(each['name']), 'data_type': type}) -%}
      {%- endfor -%}
    {%- endif -%}
    {%- set table = {'name': apikit.name_without_jinja(row['stream']), 'description': apikit.without_jinja(row['description'])} -%}
    {%- if columns -%}{%- do table.update({'columns': columns}) -%}{%- endif -%}
    {%- do tables.append(table) -%}
  {%- endfor -%}
  {%- set meta = {'plugin': plugin, 'connector': apikit.name_without_jinja(connector)} -%}
  {%- set source = {'name': name or connector, 'config': {'meta': meta}, 'tables': tables} -%}
  {%- do print(toyaml({'version': 2, 'sources': [source]}, sort_keys=false)) -%}
{% endmacro %}

{#- `name`, which dbt would read Jinja in, and which cannot be another. -#}
{% macro name_without_jinja(name) -%}
  {%- if apikit.without_jinja(name) != name -%}
    {%- do exceptions.raise_compiler_error('source_yaml: dbt would run the name ' ~ name ~ '. Rename it in the manifest.') -%}
  {%- endif -%}
  {{- return(name) -}}
{%- endmacro %}

{#- `text` as dbt shows it: in a description it reads Jinja. -#}
{% macro without_jinja(text) -%}
  {#- a space is put in, again until there is none left: `{`, `{`, `{` are two marks; Jinja forgets what a loop sets -#}
  {%- set found = namespace(text=text or '') -%}
  {%- for mark in ['{' ~ '{', '{' ~ '%', '{' ~ '#'] * 2 -%}
    {%- set found.text = found.text | replace(mark, '{ ' ~ mark[1:]) -%}
  {%- endfor -%}
  {{- return(found.text) -}}
{%- endmacro %}
