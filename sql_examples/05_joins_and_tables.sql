-- Two streams in one join: the bounds on created_at reach the API.
SELECT c.country, count(*) AS orders, round(sum(o.amount), 2) AS revenue
FROM apikit('demo', 'orders') o
JOIN apikit('demo', 'customers') c ON o.customer = c.id
WHERE o.created_at >= TIMESTAMPTZ '2025-06-01 00:00:00+00' AND o.created_at < TIMESTAMPTZ '2025-07-01 00:00:00+00'
GROUP BY c.country ORDER BY revenue DESC LIMIT 3;
-- country | orders | revenue
-- IN      | 11     | 25194.55
-- FR      | 12     | 24553.88
-- BR      | 12     | 22856.19

-- Each execution fetches again, so keep what you will read more than once.
CREATE OR REPLACE TABLE issues AS SELECT number, state, updated_at FROM apikit('demo', 'issues') WHERE state = 'open';
SELECT count(*) AS kept FROM issues;
-- kept
-- 293
