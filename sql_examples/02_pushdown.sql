-- `filters` say which predicates the API answers itself: here /issues?state=open&creator=ada.
SELECT count(*) AS open_by_ada
FROM apikit('demo', '/issues', filters := {state: 'state', 'user.login': 'creator'})
WHERE state = 'open' AND "user".login = 'ada';
-- open_by_ada
-- 45

-- A bound goes out rounded to whole seconds, away from the rows; the scan filters again.
SELECT count(*) AS updated_in_december
FROM apikit('demo', 'issues')
WHERE updated_at >= TIMESTAMPTZ '2025-12-01 00:00:00+00';
-- updated_in_december
-- 71

-- A key column may be part of the path. Every value of IN is a trip of its own.
SELECT region, count(*) AS warehouses, max(capacity) AS largest
FROM apikit('demo', 'warehouses')
WHERE region IN ('emea', 'apac')
GROUP BY region ORDER BY region;
-- region | warehouses | largest
-- apac   | 5          | 4500
-- emea   | 8          | 7200
