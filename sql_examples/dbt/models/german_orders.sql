SELECT o.id, c.name AS customer, o.amount, o.currency, o.created_at
FROM {{ source('demo', 'orders') }} AS o
JOIN {{ ref('german_customers') }} AS c ON o.customer = c.id
WHERE o.status <> 'cancelled'
