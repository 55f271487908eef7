-- What a statement would send, before it sends anything: a row for each scan.
CALL apikit_attach('demo');

SELECT path, trips, requests, why
FROM apikit_explain($$ FROM demo.warehouses WHERE region IN ('emea', 'apac') AND capacity > 1000 $$);
-- path                         | trips | requests | why
-- /regions/{region}/warehouses | 2     | 2        | NULL

-- Which predicates the API answers, and as what.
SELECT unnest(pushed) AS pushed
FROM apikit_explain($$ FROM demo.issues WHERE state = 'open' AND updated_at >= TIMESTAMPTZ '2025-12-01 00:00:00.5Z' $$);
-- pushed
-- state = 'open' as state=open
-- updated_at >= '2025-12-01 00:00:00.500000+00:00' as since=2025-12-01T00:00:00Z (rounded outward)

-- Which it does not, and why.
SELECT unnest(not_pushed) AS not_pushed
FROM apikit_explain($$ FROM demo.issues WHERE lower(state) = 'open' AND comments = 3 ORDER BY ALL $$) ORDER BY 1;
-- not_pushed
-- comments = 3: no key column names comments, nor does filters
-- lower(state) = 'open': a function of the column; compare the column itself

-- 1,000 orders, 200 a page: the first page has come with the bind and tells the total.
SELECT path, requests
FROM apikit_explain($$ SELECT sum(amount) FROM apikit('demo', '/orders', params := {'limit': 200, 'offset': 0}) $$);
-- path    | requests
-- /orders | 4

-- What only the API can tell is NULL, with the reason.
SELECT requests, why FROM apikit_explain($$ SELECT count(*) FROM demo.customers WHERE country = 'DE' $$);
-- requests | why
-- NULL     | its first page, which tells how many follow, has not come yet
