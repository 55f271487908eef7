-- The newest open issues of the demo API. The filter goes to the API as a parameter; LIMIT stops after one page.
SELECT number, title, "user".login AS author, comments
FROM apikit('demo', 'issues')
WHERE state = 'open'
LIMIT 3;
-- number | title              | author   | comments
-- 1236   | Stock counts drift | grace    | 1
-- 1234   | Stock counts drift | edsger   | 27
-- 1233   | Stock counts drift | edsger   | 12

-- A path works without any declaration: columns and pagination are found in the first page.
SELECT state, count(*) AS issues FROM apikit('demo', '/issues') GROUP BY state ORDER BY state;
-- state  | issues
-- closed | 947
-- open   | 293

-- A single object is one record.
SELECT * FROM apikit('demo', '/status');
-- status | version | uptime
-- ok     | 1.0     | 12345
