-- For each row, one response as JSON.
SELECT apikit_get('demo', '/status')->>'version' AS version;
-- version
-- 1.0

SELECT number, apikit_get('demo', '/issues/{number}', path_params := {number: n.number})->>'title' AS title
FROM (VALUES (1001), (1002), (NULL)) AS n(number) ORDER BY number;
-- number | title
-- 1001 | Speed up the nightly export
-- 1002 | Stock counts drift
-- NULL | NULL

-- For each row, all records of all pages, as a list of JSON.
SELECT region, len(apikit_fetch('demo', '/regions/{region}/warehouses', path_params := {region: region})) AS warehouses
FROM (VALUES ('emea'), ('apac')) AS r(region);
-- region | warehouses
-- emea   | 8
-- apac   | 5

SELECT region, w->>'city' AS city, (w->'capacity')::INTEGER AS capacity
FROM (
    SELECT region,
           unnest(apikit_fetch('demo', '/regions/{region}/warehouses', path_params := {region: region})) AS w
    FROM (VALUES ('emea'), ('apac')) AS r(region)
)
WHERE (w->'capacity')::INTEGER > 5000 ORDER BY capacity;
-- region | city   | capacity
-- emea   | Lyon   | 5400
-- emea   | Málaga | 6300
-- emea   | Zürich | 7200
