-- Issues as they were last seen. A second run asks the API only for those that have changed since (?since=...).
{{ config(materialized='incremental', unique_key='number', incremental_strategy='delete+insert') }}

SELECT number, title, state, "user".login AS author, updated_at
FROM apikit('demo', 'issues')
WHERE {{ apikit.since('updated_at') }}
