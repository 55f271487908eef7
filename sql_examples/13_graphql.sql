-- A GraphQL query by POST. The rows are what its only field gives.
FROM apikit_graphql('demo', 'query($n: Int!) { issue(number: $n) { number title user { login } } }',
                    variables := {n: 42}, nested := 'flatten');
-- number | title                       | user__login
-- 42     | Speed up the nightly export | grace

-- With connection_path they are the nodes of that connection, page by page: the query has $first and $after.
SET VARIABLE open_issues = '
    query($first: Int!, $after: String) {
      issues(first: $first, after: $after, state: OPEN) {
        nodes { number comments user { login } updated_at }
        pageInfo { hasNextPage endCursor }
      }
    }';
SELECT user.login AS author, count(*) AS issues, sum(comments) AS comments
FROM apikit_graphql('demo', getvariable('open_issues'), connection_path := 'issues')
GROUP BY author ORDER BY author;
-- author   | issues | comments
-- ada      | 45     | 666
-- edsger   | 70     | 1022
-- grace    | 65     | 898
-- margaret | 58     | 908
-- noor     | 55     | 663

-- LIMIT stops the requests.
SELECT number, updated_at
FROM apikit_graphql('demo', getvariable('open_issues'), connection_path := 'issues', page_size := 10) LIMIT 2;
-- number | updated_at
-- 1236   | 2025-12-14 17:23:22+00
-- 1234   | 2025-12-17 11:17:25+00
