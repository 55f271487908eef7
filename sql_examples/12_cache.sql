-- The first read asks the API; its answers are good for 300 seconds.
SELECT country, count(*) AS customers FROM apikit('demo', 'customers', cache := 300)
GROUP BY country ORDER BY customers DESC, country LIMIT 3;
-- country | customers
-- FR      | 40
-- JP      | 32
-- DE      | 29

-- Identical reads are answered from the response cache of the session: nothing is sent.
SELECT count(*) FILTER (balance < 0) AS in_debt FROM apikit('demo', 'customers', cache := 300);
-- in_debt
-- 43

-- How many pages came from there, and how old the oldest of them was, in seconds.
SELECT pages, requests, cached_pages, cache_age < 300 AS fresh FROM apikit_scans() ORDER BY started_at DESC LIMIT 1;
-- pages | requests | cached_pages | fresh
-- 3     | 0        | 3            | true

-- A predicate that goes to the API makes another read of it.
SELECT count(*) AS customers FROM apikit('demo', 'customers', cache := 300) WHERE country = 'DE';
-- customers
-- 29

SELECT pages, requests, cached_pages, cache_age FROM apikit_scans() ORDER BY started_at DESC LIMIT 1;
-- pages | requests | cached_pages | cache_age
-- 1     | 1        | 0            | NULL
