-- A value that does not fit its column is an error that says what to write. Or let it be NULL, counted in apikit_scans().
SELECT count(*) AS customers, count(name) AS numbers
FROM apikit('demo', '/customers', types := {name: 'BIGINT'}, on_drift := 'null');
-- customers | numbers
-- 230       | 0

SELECT drifted FROM apikit_scans() ORDER BY started_at DESC LIMIT 1;
-- drifted
-- {"name": 230}

-- 'text' makes every inferred column VARCHAR: nothing can fail, and numbers keep their digits.
SELECT typeof(balance) AS type, balance FROM apikit('demo', '/customers', on_drift := 'text') LIMIT 1;
-- type    | balance
-- VARCHAR | 18989

-- What has no column is counted; `extra` keeps it.
SELECT sku, _extra ->> 'name' AS name
FROM apikit('demo', '/products', columns := {sku: 'VARCHAR'}, extra := true) LIMIT 1;
-- sku     | name
-- SKU-001 | Ash Lamp
