-- Found by itself: a Link header, a next URL, a cursor, or a total with the paging parameters in the request.
SELECT count(*) AS orders FROM apikit('demo', '/orders', params := {'offset': 0, 'limit': 200});
-- orders
-- 1000

-- Or said: a strategy and its parameters.
SELECT count(*) AS customers
FROM apikit('demo', '/customers', data_path := 'data', pagination := {
    strategy: 'cursor', cursor_param: 'starting_after', cursor_record_field: 'id', has_more_path: 'has_more',
    limit_param: 'limit', page_size: 100
});
-- customers
-- 230

SELECT kind, count(*) AS events
FROM apikit('demo', '/events', pagination := {
    strategy: 'page', page_param: 'page', limit_param: 'page_size', page_size: 100, total_pages_path: 'total_pages'
})
GROUP BY kind ORDER BY events DESC, kind;
-- kind             | events
-- order.created    | 82
-- stock.low        | 82
-- prices.published | 69
-- customer.updated | 67

SELECT count(*) AS products
FROM apikit('demo', '/products', pagination := {strategy: 'next_url', next_url_path: 'next'});
-- products
-- 64

-- `pages` stops early, on purpose.
SELECT count(*) AS first_two_pages FROM apikit('demo', '/issues', params := {per_page: 50}, pages := 2);
-- first_two_pages
-- 100
