-- A morning at an invented shop, for the pages to show: three rows failed, 38 wait, pushes come, a sweep found a
-- difference.
INSERT INTO omisync.replicas (id, name, version, started_at, state) VALUES
    ('00000000-0000-0000-0000-000000000001', 'shop-1', '0.1.0', now() - interval '3 days', '{"budget_used_ratio": 0.34}'),
    ('00000000-0000-0000-0000-000000000002', 'shop-2', '0.1.0', now() - interval '3 days', '{"budget_used_ratio": 0.31}');
INSERT INTO omisync.leases VALUES ('leader', '00000000-0000-0000-0000-000000000001', now() + interval '1 hour');
INSERT INTO omisync.tokens (token, expired_time) VALUES ('t', extract(epoch FROM now() + interval '19 hours')::bigint);
SELECT omisync.add_order(jsonb_build_object('order_number', 'WEB-' || n, 'items', '[{}]'::jsonb)) FROM generate_series(1001, 1043) AS n;
UPDATE omisync.outbox SET state = 'sending', attempts = 1, lease_token = gen_random_uuid(), lease_until = now() + interval '1 hour' WHERE id <= 5;
UPDATE omisync.outbox SET state = 'failed', lease_token = NULL, lease_until = NULL, created_at = now() - interval '40 min',
    finished_at = now() - interval '38 min', error = CASE id
        WHEN 1 THEN 'Omisell refused it: items[0].sku: SKU TEE-XL-RED not found'
        WHEN 2 THEN 'Omisell refused it: receiver.ward_name: Phường 99 is not in the address system'
        ELSE 'the outcome is not known after 12 attempts, and Omisell does not list it' END
    WHERE id <= 3;
INSERT INTO omisync.order_events (order_number, kind, source, new_status_id, occurred_at, recorded_at)
    SELECT 'WEB-' || 1000 - n, 'added', 'outbox', 200, at, at
    FROM generate_series(2, 200) AS n, LATERAL (SELECT now() - make_interval(mins => n * 7) AS at) AS t
    WHERE sin(n * 7 / 240.0) > -0.6;
INSERT INTO omisync.order_events (order_number, kind, source, recorded_at)
    SELECT 'WEB-' || 800 - n, 'failed', 'outbox', now() - make_interval(mins => n * n * 9) FROM generate_series(2, 11) AS n;
INSERT INTO omisync.inbox (dedup_key, event, category, order_number, omisell_order_number, status_id, authorization_form,
        body, state, received_at, handled_at)
    SELECT gen_random_uuid(), (ARRAY['order.shipped', 'order.status', 'order.created'])[n % 3 + 1], 'order',
        'WEB-' || 998 - n % 190, 'OMI-' || 5998 - n % 190, (ARRAY[500, 300, 200])[n % 3 + 1], 'hmac-url-body', '{}', 'done',
        now() - make_interval(secs => n * 71), now()
    FROM generate_series(1200, 1, -1) AS n WHERE sin(n / 210.0) > -0.7 - n % 5 / 20.0;

-- One order from its add to its shipping: a push told of one change, a sweep found the other.
INSERT INTO omisync.orders (order_number, omisell_order_number, shop_id, status_id, status_name, omisell_updated_at,
        synced_at, tracking_numbers)
    VALUES ('WEB-999', 'OMI-5999', 1, 500, 'Shipped', now() - interval '14 min', now() - interval '2 min', '{VN000123}');
INSERT INTO omisync.parcels (order_number, package_number, courier_name, courier_tracking_number, shipment_status,
        shipment_status_name)
    VALUES ('WEB-999', 'PKG-1', 'Viettel Post', 'VN000123', 300, 'Picked up');
INSERT INTO omisync.outbox (kind, order_number, payload) VALUES
    ('order.add', 'WEB-999', '{"order_number": "WEB-999", "items": [{}]}');
UPDATE omisync.outbox SET state = 'sending', attempts = 1, lease_token = gen_random_uuid(), lease_until = now()
    WHERE order_number = 'WEB-999';
UPDATE omisync.outbox SET state = 'done', outcome = 'added', lease_token = NULL, lease_until = NULL,
    created_at = now() - interval '2 hours', finished_at = now() - interval '2 hours' + interval '1 s'
    WHERE order_number = 'WEB-999';
INSERT INTO omisync.order_events (order_number, omisell_order_number, kind, source, old_status_id, new_status_id,
        occurred_at, recorded_at)
    SELECT 'WEB-999', 'OMI-5999', kind, source, old, new, now() - occurred, now() - recorded FROM (VALUES
        ('added', 'outbox', NULL, 200, interval '2 hours', interval '7199 s'),
        ('status', 'webhook', 200, 300, interval '65 min', interval '3899 s'),
        ('status', 'sweep', 300, 500, interval '14 min', interval '2 min')) AS told (kind, source, old, new, occurred, recorded);
INSERT INTO omisync.inbox (dedup_key, event, category, order_number, omisell_order_number, status_id, authorization_form,
        request_id, body, state, received_at, handled_at)
    VALUES (gen_random_uuid(), 'order.status', 'order', 'WEB-999', 'OMI-5999', 300, 'hmac-url-body', 'req-48151', '{}',
        'done', now() - interval '3899.4 s', now() - interval '3899 s');

INSERT INTO omisync.sweeps (kind, started_at, finished_at, window_from, window_to, pages, seen, repaired, error) VALUES
    ('full', now() - interval '6 hours', now() - interval '350 min', 0, 1, 44, 4312, 3, NULL),
    ('incremental', now() - interval '12 min', now() - interval '11 min', 0, 1, 0, 0, 0, 'Omisell did not answer within 60 s'),
    ('incremental', now() - interval '2 min', now() - interval '119 s', 0, 1, 1, 87, 1, NULL);
INSERT INTO omisync.audit (at, who, action, subject) VALUES
    (now() - interval '1 hour', 'an@shop-1', 'retry', '1'), (now() - interval '2 hours', 'an@shop-1', 'resume', 'order.add');
