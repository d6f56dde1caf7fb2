-- Our orders, to be held against Omisell's; only read.

-- name: changed_since(begin, shop_id, fresh, after, most)
-- plan: by values
-- The shop's orders that changed since then, a page at a time. What we have only just heard of need not be listed yet.
SELECT order_number, omisell_order_number, status_id FROM omisync.orders
WHERE order_number > :after::text AND omisell_updated_at >= to_timestamp(:begin::bigint)
  AND omisell_order_number IS NOT NULL AND coalesce(shop_id, :shop_id::bigint) = :shop_id::bigint
  AND greatest(known_since, status_seen_at, synced_at) < now() - make_interval(secs => :fresh::float8)
ORDER BY order_number LIMIT :most;

-- name: with_parcels(omisell_order_numbers)
-- Those of the orders that have a detail, with package, tracking number and status of each parcel.
SELECT k.order_number, k.omisell_order_number, k.status_id, (
        SELECT coalesce(json_agg(json_build_array(p.package_number, p.courier_tracking_number, p.shipment_status)), '[]')
        FROM omisync.parcels AS p WHERE p.order_number = k.order_number)::text AS parcels
FROM omisync.orders AS k
WHERE k.omisell_order_number = ANY(:omisell_order_numbers::text[]) AND k.detail IS NOT NULL
ORDER BY k.order_number;
