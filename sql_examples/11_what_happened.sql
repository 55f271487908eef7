-- What was sent: the newest requests, secrets masked.
SELECT number FROM apikit('demo', '/issues', params := {per_page: 1}, pages := 1, columns := {number: 'BIGINT'});
-- number
-- 1240

SELECT method, regexp_replace(url, '^http://[^/]*', '') AS path, status, attempt FROM apikit_requests(newest := 1);
-- method | path                | status | attempt
-- GET    | /issues?per_page=1  | 200    | 1

-- What the APIs have told of their limits.
SELECT connector, credential, remaining, wait_seconds FROM apikit_rate_limits(connector := 'demo');
-- connector | credential | remaining | wait_seconds
-- demo      | none       | NULL      | 0.0

-- The newest error, whole; of this class there was none.
SELECT count(*) AS errors FROM apikit_last_error(error := 'RateLimitError');
-- errors
-- 0

-- Every function there is.
SELECT function, signature, gives FROM apikit_help() WHERE function IN ('apikit_get', 'apikit_scans') ORDER BY function;
-- function     | signature                                                        | gives
-- apikit_get   | apikit_get(connector, path, params := NULL, path_params := NULL) | JSON
-- apikit_scans | apikit_scans(newest := NULL)                                     | TABLE
