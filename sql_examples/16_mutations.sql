-- What a call would send first. Nothing is sent, and no credential need be set.
SELECT method, regexp_extract(url, '/orders.*') AS path, body, credential
FROM apikit_dry_run('demo', '/orders/{id}/notes', path_params := {id: 7}, method := 'POST', body := {text: 'Thank you'});
-- method | path            | body                  | credential
-- POST   | /orders/7/notes | {"text": "Thank you"} | none

-- Mutations need install(con, allow_mutations=['demo']), and a statement that runs once. Its table keeps the outcomes.
CREATE TABLE sent AS
SELECT id, apikit_post('demo', '/orders/{id}/notes', {text: 'For ' || customer}, path_params := {id: id}) AS r
FROM (FROM apikit('demo', 'orders') WHERE id <= 2 ORDER BY id);

INSERT INTO sent VALUES (2000, apikit_post('demo', '/orders/2000/notes', {text: 'Nobody'}));

SELECT id, r.status, r.body ->> 'text' AS text, r.error FROM sent ORDER BY id;
-- id   | status | text         | error
-- 1    | 201    | For cus_0129 | NULL
-- 2    | 201    | For cus_0011 | NULL
-- 2000 | 404    | NULL         | demo: POST /orders/2000/notes answered 404 (Not Found)

CREATE TABLE changes AS
SELECT apikit_put('demo', '/orders/1/notes/a', {text: 'Put'}) AS r
UNION ALL SELECT apikit_patch('demo', '/orders/1/notes/b', '{"text": "Patched"}')
UNION ALL SELECT apikit_delete('demo', '/orders/1/notes/{note}', path_params := {note: 'c'});

SELECT r.status, r.body ->> 'text' AS text FROM changes ORDER BY 1, 2;
-- status | text
-- 200    | Patched
-- 200    | Put
-- 204    | NULL
