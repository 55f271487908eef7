-- The seed was written by: CALL apikit_dbt_export('demo', 'products', name := 'products', output_dir := '.')
SELECT l.order_id, l.line.sku, p.name AS product, l.line.quantity, l.line.price
FROM (SELECT id AS order_id, unnest(lines) AS line FROM {{ source('demo', 'orders') }} WHERE id <= 100) AS l
JOIN {{ ref('products') }} AS p ON l.line.sku = p.sku
