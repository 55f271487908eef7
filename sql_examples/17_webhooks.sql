-- Deliveries of a webhook become rows of a table: pip install '.[webhook]', and the provider's secret in WEBHOOK_SECRET.
-- Port 0 is any that is free; a provider needs one that it can reach, behind your proxy or tunnel.
CALL apikit_webhook_start('billing', provider := 'stripe', secret := 'env:WEBHOOK_SECRET', port := 0, table_name := 'stripe_events');

SELECT name, provider, table_name, stored, rejected, error FROM apikit_webhooks();
-- name    | provider | table_name    | stored | rejected | error
-- billing | stripe   | stripe_events | 0      | 0        | NULL

-- While they come, the table is read as any other.
SELECT event, count(*) AS deliveries, sum((payload ->> '$.data.object.amount')::BIGINT) AS amount
FROM stripe_events WHERE received_at > now() - INTERVAL 1 DAY GROUP BY event ORDER BY 2 DESC;
-- event | deliveries | amount

-- To start it again with the same arguments is harmless.
CALL apikit_webhook_start('billing', provider := 'stripe', secret := 'env:WEBHOOK_SECRET', port := 0, table_name := 'stripe_events');

CALL apikit_webhook_stop('billing');
-- name    | stopped
-- billing | true
