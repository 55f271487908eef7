-- Load once, then only what changed. A variable is pushed on every DuckDB version, a subquery is not.
CREATE OR REPLACE TABLE issues AS
SELECT number, state, updated_at FROM apikit('demo', 'issues') WHERE updated_at < TIMESTAMPTZ '2025-12-01 00:00:00+00';

SET VARIABLE since = (SELECT max(updated_at) FROM issues);

MERGE INTO issues
USING (
    SELECT number, state, updated_at FROM apikit('demo', 'issues') WHERE updated_at >= getvariable('since')
) AS fresh
ON issues.number = fresh.number
WHEN MATCHED THEN UPDATE SET state = fresh.state, updated_at = fresh.updated_at
WHEN NOT MATCHED THEN INSERT VALUES (fresh.number, fresh.state, fresh.updated_at);

SELECT count(*) AS issues, max(updated_at) AS newest FROM issues;
-- issues | newest
-- 1240   | 2025-12-28 14:57:34+00
