-- What an API has, as a seed and a source of the dbt project in the folder shop. dbt/ beside this file is a whole project.
CALL apikit_dbt_export('demo', 'customers', name := 'demo_customers', output_dir := 'shop', tags := ['crm']);
-- file                           | action  | rows
-- shop/seeds/demo_customers.csv  | created | 230
-- shop/models/demo_customers.yml | created | 230
-- shop/models/sources.yml        | created | 230

-- Any SELECT is exported likewise; sources.yml keeps what is in it.
CALL apikit_dbt_export_query($$
    SELECT country, count(*) AS customers FROM apikit('demo', 'customers') GROUP BY ALL ORDER BY country
$$, name := 'customers_by_country', output_dir := 'shop', description := 'Where they live');
-- file                                 | action  | rows
-- shop/seeds/customers_by_country.csv  | created | 8
-- shop/models/customers_by_country.yml | created | 8
-- shop/models/sources.yml              | changed | 8

-- Again, nothing is different.
SELECT DISTINCT action FROM apikit_dbt_export('demo', 'customers', name := 'demo_customers', output_dir := 'shop');
-- action
-- unchanged

SELECT country, customers FROM read_csv('shop/seeds/customers_by_country.csv') ORDER BY customers DESC LIMIT 2;
-- country | customers
-- FR      | 40
-- JP      | 32
