-- Meeting an API: one request tells where its records are, how it pages, and why it is thought so.
SELECT status, record_count, record_path, strategy, evidence FROM apikit_inspect('demo', '/products');
-- status | record_count | record_path | strategy | evidence
-- 200    | 20           | products    | next_url | next URL at next

-- Where the API has more and does not say how to get it, that is told, and what to try.
SELECT strategy, contains(evidence, 'total = 1000') AS has_more FROM apikit_inspect('demo', '/orders');
-- strategy | has_more
-- none     | true

SELECT strategy, evidence, sql FROM apikit_inspect('demo', '/orders', params := {'offset': 0, 'limit': 200});
-- strategy | evidence                              | sql
-- offset   | total = 1000 and the parameter offset | FROM apikit('demo', '/orders', params := {'offset': '0', 'limit': '200'}, data_path := 'items', pagination := {'strategy': 'offset', 'offset_param': 'offset', 'total_path': 'total'});

-- That statement, as it stands.
SELECT count(*) AS orders
FROM apikit('demo', '/orders', params := {'offset': '0', 'limit': '200'}, data_path := 'items', pagination := {'strategy': 'offset', 'offset_param': 'offset', 'total_path': 'total'});
-- orders
-- 1000

-- An error is a row, too.
SELECT status, error FROM apikit_inspect('demo', '/nowhere');
-- status | error
-- 404    | demo: GET /nowhere answered 404 (Not Found)

-- What is known of each column: whether the sampled page has nulls, a value, and what the API answers itself.
SELECT name, type, nullable, example, array_to_string(operators, ' ') AS operators
FROM apikit_schema('demo', '/products', filters := {sku: 'sku'}) WHERE name IN ('sku', 'dimensions');
-- name       | type                           | nullable | example                | operators
-- sku        | VARCHAR                        | false    | SKU-001                | =
-- dimensions | STRUCT("w" DOUBLE, "h" DOUBLE) | true     | {"w": 92.2, "h": 21.4} |

-- A stream declares its columns, so nothing is sent.
SELECT name, type, needed FROM apikit_schema('demo', 'warehouses');
-- name     | type    | needed
-- id       | VARCHAR | false
-- city     | VARCHAR | false
-- capacity | BIGINT  | false
-- region   | VARCHAR | true
