-- Declared columns: the schema is known without a request, and the rest of each record is skipped.
SELECT sku, price, tags
FROM apikit('demo', '/products', columns := {sku: 'VARCHAR', price: 'DOUBLE', tags: 'VARCHAR[]'})
LIMIT 2;
-- sku     | price  | tags
-- SKU-001 | 216.82 | [office, sale]
-- SKU-002 | 429.64 | [outdoor]

-- Inferred columns, one of them overridden: seconds since 1970 as a time.
SELECT id, created
FROM apikit('demo', '/customers', types := {created: {type: 'TIMESTAMPTZ', format: 'epoch'}})
WHERE id = 'cus_0001';
-- id       | created
-- cus_0001 | 2025-01-03 05:26:12+00

-- Nested objects are STRUCTs; 'flatten' makes columns of their fields.
SELECT "user".login, "user".id FROM apikit('demo', '/issues') LIMIT 1;
-- login    | id
-- margaret | 4008

SELECT user__login, user__id FROM apikit('demo', '/issues', nested := 'flatten') LIMIT 1;
-- user__login | user__id
-- margaret    | 4008
