-- A source is a view on the API: what a model wants of it is what the API is asked for (?country=DE).
SELECT id, name, email, balance / 100 AS balance FROM {{ source('demo', 'customers') }} WHERE country = 'DE'
