-- A connector is a catalog: its streams are views, which you browse like any others.
CALL apikit_attach('demo');

SELECT table_name FROM information_schema.tables WHERE table_catalog = 'demo' ORDER BY ALL;
-- table_name
-- customers
-- events
-- issues
-- orders
-- products
-- status
-- warehouses

-- What a column means, and which predicates on it the API answers itself.
SELECT column_name, comment FROM duckdb_columns()
WHERE database_name = 'demo' AND table_name = 'issues' AND contains(comment, 'the API answers') ORDER BY ALL;
-- column_name | comment
-- state       | open or closed; the API answers =
-- updated_at  | the API answers >=
-- user        | Who wrote it; the API answers = of login

-- A view: predicates on key columns go to the API.
SELECT count(*) AS issues FROM demo.issues WHERE state = 'open';
-- issues
-- 293

-- A macro of the same name: keys by name, and the options of apikit().
SELECT count(*) AS issues FROM demo.issues(state := 'open', pages := 1);
-- issues
-- 100

-- A function of a row's values: the records of its keys, as a list.
SELECT country, len(demo.customers_of(country)) AS customers FROM (VALUES ('DE'), ('FR'), (NULL)) v(country);
-- country | customers
-- DE      | 29
-- FR      | 40
-- NULL    | NULL

SELECT c.id, o.id AS number, o.amount
FROM demo.customers AS c, unnest(demo.orders_of(c.id)) AS u(o)
WHERE c.country = 'NG' AND c.balance > 4000 ORDER BY ALL LIMIT 3;
-- id       | number | amount
-- cus_0037 | 16     | 1487.39
-- cus_0037 | 295    | 752.7
-- cus_0037 | 407    | 576.65

-- Another name for it, and away again.
CALL apikit_attach('demo', name := 'shop');

SELECT count(*) AS customers FROM shop.customers;
-- customers
-- 230

CALL apikit_detach('shop');
-- name | detached
-- shop | true

-- Which connectors there are, what is missing to use them, and which streams they have.
SELECT name, auth, configured, missing FROM apikit_connectors() WHERE name IN ('demo', 'jsonplaceholder') ORDER BY ALL;
-- name            | auth | configured | missing
-- demo            | none | true       | []
-- jsonplaceholder | none | true       | []

SELECT stream, needs, key_columns FROM apikit_streams('demo') WHERE stream IN ('customers', 'warehouses') ORDER BY ALL;
-- stream     | needs    | key_columns
-- customers  | []       | {"country": ["="]}
-- warehouses | [region] | {"region": ["="]}
