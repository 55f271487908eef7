-- One trip for each key, several at once, in the order given. The key is a column of every row.
SELECT region, id, capacity
FROM apikit('demo', '/regions/{region}/warehouses', keys := [{region: 'emea'}, {region: 'apac'}])
WHERE capacity > 4000;
-- region | id     | capacity
-- emea   | emea-5 | 4500
-- emea   | emea-6 | 5400
-- emea   | emea-7 | 6300
-- emea   | emea-8 | 7200
-- apac   | apac-5 | 4500

-- Keys out of a query go through a variable.
SET VARIABLE busiest = (
    SELECT list({customer: customer})
    FROM (SELECT customer FROM apikit('demo', 'orders') GROUP BY customer ORDER BY sum(amount) DESC LIMIT 3)
);
SELECT customer, count(*) AS orders
FROM apikit('demo', 'orders', keys := getvariable('busiest'))
GROUP BY customer ORDER BY orders DESC, customer;
-- customer | orders
-- cus_0223 | 10
-- cus_0034 | 9
-- cus_0099 | 9

-- One key may fail without the others: 'skip_missing' passes over 404 and 410, and warns.
SELECT region, count(*) AS warehouses
FROM apikit('demo', '/regions/{region}/warehouses',
            keys := [{region: 'apac'}, {region: 'atlantis'}, {region: 'emea'}], on_error := 'skip_missing')
GROUP BY region ORDER BY region;
-- region | warehouses
-- apac   | 5
-- emea   | 8

-- What failed, and what each scan has done.
SELECT keys, status, skipped FROM apikit_errors() ORDER BY failed_at DESC LIMIT 1;
-- keys                   | status | skipped
-- {"region": "atlantis"} | 404    | true

SELECT path, state, trips, failed_trips, rows FROM apikit_scans() ORDER BY started_at DESC LIMIT 1;
-- path                         | state | trips | failed_trips | rows
-- /regions/{region}/warehouses | done  | 3     | 1            | 13
