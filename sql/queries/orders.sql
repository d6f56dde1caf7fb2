-- What a fetched detail does to the shop's tables, and what sweeps ask of them.

-- name: apply(omisell_order_numbers, order_numbers, shop_ids, status_ids, status_names, finals, created_times, updated_times, rts_times, shipped_times, completed_times, tracking_numbers, details, parcels, fetched_ats, sources, lease_tokens, generations, retry_delays)
-- Applies details, many at once, each order's state, parcels, event, pushes and fetch together. A detail strictly older
-- than the one applied changes nothing; of two with the same second, the one fetched later is kept. retry_delays: NULL
-- when the detail is as new as was told, else the seconds after which to fetch again.
WITH r AS (
    SELECT * FROM unnest(
        :omisell_order_numbers::text[], :order_numbers::text[], :shop_ids::bigint[], :status_ids::integer[],
        :status_names::text[], :finals::boolean[], :created_times::bigint[], :updated_times::bigint[],
        :rts_times::bigint[], :shipped_times::bigint[], :completed_times::bigint[], :tracking_numbers::text[],
        :details::text[], :parcels::text[], :fetched_ats::timestamptz[], :sources::text[],
        :lease_tokens::uuid[], :generations::bigint[], :retry_delays::float8[])
    AS r (omisell_order_number, order_number, shop_id, status_id, status_name, is_final, created_time, updated_time,
          rts_time, shipped_time, completed_time, tracking_numbers, detail, parcels, fetched_at, source,
          lease_token, generation, retry_delay)
), held AS (
    -- fencing: a fetch whose lease has gone to somebody else may not speak; one asked for without a lease may
    SELECT f.omisell_order_number, f.generation FROM omisync.refreshes AS f JOIN r USING (omisell_order_number)
    WHERE f.lease_token = r.lease_token
    FOR UPDATE OF f
), old AS (
    SELECT k.* FROM omisync.orders AS k JOIN r USING (order_number) ORDER BY k.order_number FOR UPDATE OF k
), fresh AS (
    SELECT r.*, old.status_id AS old_status_id, old.order_number IS NULL AS is_new, old.detail IS NULL AS first_detail
    FROM r JOIN held USING (omisell_order_number) LEFT JOIN old USING (order_number)
    WHERE old.order_number IS NULL OR (
        (old.omisell_order_number IS NULL OR old.omisell_order_number = r.omisell_order_number)
        AND (old.omisell_updated_at IS NULL OR r.updated_time IS NULL OR to_timestamp(r.updated_time) >= old.omisell_updated_at)
        AND (old.synced_at IS NULL OR to_timestamp(r.updated_time) > old.omisell_updated_at OR r.fetched_at >= old.synced_at))
), second_at_omisell AS (
    INSERT INTO omisync.findings (kind, order_number, subject, data)
    SELECT 'second_at_omisell', r.order_number, r.omisell_order_number,
           jsonb_build_object('kept', old.omisell_order_number, 'other', r.omisell_order_number)
    FROM r JOIN held USING (omisell_order_number) JOIN old USING (order_number)
    WHERE old.omisell_order_number <> r.omisell_order_number
    ON CONFLICT DO NOTHING
), written AS (
    INSERT INTO omisync.orders AS k (
        order_number, omisell_order_number, shop_id, status_id, status_name, is_final, omisell_created_at,
        omisell_updated_at, rts_at, shipped_at, completed_at, tracking_numbers, detail, synced_at)
    SELECT f.order_number, f.omisell_order_number, f.shop_id, f.status_id, f.status_name, f.is_final,
           to_timestamp(f.created_time), to_timestamp(f.updated_time), to_timestamp(f.rts_time),
           to_timestamp(f.shipped_time), to_timestamp(f.completed_time),
           ARRAY(SELECT jsonb_array_elements_text(f.tracking_numbers::jsonb)), f.detail::jsonb, f.fetched_at
    FROM fresh AS f ORDER BY f.order_number
    ON CONFLICT (order_number) DO UPDATE SET
        omisell_order_number = excluded.omisell_order_number,
        shop_id = coalesce(excluded.shop_id, k.shop_id),
        status_id = coalesce(excluded.status_id, k.status_id),
        status_name = coalesce(excluded.status_name, k.status_name),
        is_final = CASE WHEN excluded.status_id IS NULL THEN k.is_final ELSE excluded.is_final END,
        omisell_created_at = coalesce(excluded.omisell_created_at, k.omisell_created_at),
        omisell_updated_at = coalesce(excluded.omisell_updated_at, k.omisell_updated_at),
        rts_at = excluded.rts_at,
        shipped_at = excluded.shipped_at,
        completed_at = excluded.completed_at,
        tracking_numbers = excluded.tracking_numbers,
        detail = excluded.detail,
        synced_at = excluded.synced_at
    WHERE k.omisell_order_number IS NULL OR k.omisell_order_number = excluded.omisell_order_number
    RETURNING k.order_number
), new_parcels AS (
    SELECT f.order_number, p.* FROM fresh AS f JOIN written USING (order_number)
    CROSS JOIN LATERAL jsonb_to_recordset(f.parcels::jsonb) AS p (
        package_number text, courier_name text, courier_tracking_number text, shipment_status integer,
        shipment_status_name text, pickup_id bigint, items jsonb)
), parcels_gone AS (
    DELETE FROM omisync.parcels AS p USING fresh AS f
    WHERE p.order_number = f.order_number AND f.order_number IN (SELECT order_number FROM written)
      AND NOT EXISTS (SELECT FROM new_parcels AS n WHERE n.order_number = p.order_number AND n.package_number = p.package_number)
    RETURNING p.order_number
), parcels_changed AS (
    INSERT INTO omisync.parcels AS p (order_number, package_number, courier_name, courier_tracking_number, shipment_status,
                                      shipment_status_name, pickup_id, items)
    SELECT n.order_number, n.package_number, n.courier_name, n.courier_tracking_number, n.shipment_status,
           n.shipment_status_name, n.pickup_id, coalesce(n.items, '[]') FROM new_parcels AS n
    ON CONFLICT (order_number, package_number) DO UPDATE SET
        courier_name = excluded.courier_name, courier_tracking_number = excluded.courier_tracking_number,
        shipment_status = excluded.shipment_status, shipment_status_name = excluded.shipment_status_name,
        pickup_id = excluded.pickup_id, items = excluded.items
    WHERE (p.courier_name, p.courier_tracking_number, p.shipment_status, p.shipment_status_name, p.pickup_id, p.items)
        IS DISTINCT FROM (excluded.courier_name, excluded.courier_tracking_number, excluded.shipment_status,
                          excluded.shipment_status_name, excluded.pickup_id, excluded.items)
    RETURNING p.order_number
), adopted_adds AS (
    -- the push, or the sweep, has settled an add whose outcome was not known
    UPDATE omisync.outbox AS o
    SET state = 'done', outcome = 'adopted', finished_at = now(), error = NULL, settle_at = NULL
    FROM fresh AS f
    WHERE o.order_number = f.order_number AND o.kind = 'order.add' AND o.state = 'pending'
      AND f.order_number IN (SELECT order_number FROM written)
    RETURNING o.order_number, o.id
), told AS (
    INSERT INTO omisync.order_events (order_number, omisell_order_number, kind, old_status_id, new_status_id, source, data, occurred_at)
    SELECT f.order_number, f.omisell_order_number,
        CASE WHEN f.is_new OR a.id IS NOT NULL THEN 'adopted'
             WHEN f.old_status_id IS DISTINCT FROM f.status_id THEN 'status' ELSE 'parcels' END,
        f.old_status_id, coalesce(f.status_id, f.old_status_id), f.source,
        CASE WHEN a.id IS NOT NULL THEN jsonb_build_object('outbox_id', a.id)
             WHEN f.tracking_numbers <> '[]' THEN jsonb_build_object('tracking_numbers', f.tracking_numbers::jsonb) END,
        coalesce(to_timestamp(f.updated_time), now())
    FROM fresh AS f JOIN written USING (order_number) LEFT JOIN adopted_adds AS a USING (order_number)
    WHERE f.is_new OR a.id IS NOT NULL OR (f.status_id IS NOT NULL AND f.old_status_id IS DISTINCT FROM f.status_id)
       OR f.order_number IN (SELECT order_number FROM parcels_gone UNION ALL SELECT order_number FROM parcels_changed)
    RETURNING id, order_number, kind
), fetched_again AS (
    UPDATE omisync.refreshes AS f
    SET lease_token = NULL, lease_until = NULL,
        attempts = CASE WHEN r.retry_delay IS NULL THEN 0 ELSE f.attempts + 1 END,
        available_at = now() + make_interval(secs => coalesce(r.retry_delay, 0))
    FROM r JOIN held USING (omisell_order_number)
    WHERE f.omisell_order_number = r.omisell_order_number AND (r.retry_delay IS NOT NULL OR held.generation <> r.generation)
), fetched AS (
    DELETE FROM omisync.refreshes AS f USING r, held
    WHERE f.omisell_order_number = r.omisell_order_number AND held.omisell_order_number = r.omisell_order_number
      AND r.retry_delay IS NULL AND held.generation = r.generation
), answered AS (
    UPDATE omisync.inbox AS i SET state = 'done', handled_at = now()
    FROM r JOIN held USING (omisell_order_number)
    WHERE i.omisell_order_number = r.omisell_order_number AND i.state = 'waiting'
      AND r.retry_delay IS NULL AND held.generation = r.generation
)
SELECT r.omisell_order_number, f.order_number IS NOT NULL AS applied, t.id AS event_id, t.kind AS event_kind, a.id AS adopted_outbox_id
FROM r JOIN held USING (omisell_order_number)
LEFT JOIN fresh AS f USING (omisell_order_number)
LEFT JOIN told AS t ON t.order_number = f.order_number
LEFT JOIN adopted_adds AS a ON a.order_number = f.order_number;

-- name: differing(omisell_order_numbers, order_numbers, status_ids, updated_times)
-- Of orders as Omisell lists them, those that our tables lack or have older, and why: 'missing', 'stale' or 'status'.
-- An order that a fetch is waiting for already is not counted as a difference that nobody knew of: it is 'asked'.
SELECT r.omisell_order_number, r.order_number, r.updated_time,
    CASE WHEN f.omisell_order_number IS NOT NULL THEN 'asked'
         WHEN k.omisell_order_number IS NULL THEN 'missing'
         WHEN k.status_id IS DISTINCT FROM r.status_id THEN 'status' ELSE 'stale' END AS difference,
    k.status_id AS known_status_id, r.status_id
FROM unnest(:omisell_order_numbers::text[], :order_numbers::text[], :status_ids::integer[], :updated_times::bigint[])
    AS r (omisell_order_number, order_number, status_id, updated_time)
LEFT JOIN omisync.orders AS k ON k.omisell_order_number = r.omisell_order_number
LEFT JOIN omisync.refreshes AS f ON f.omisell_order_number = r.omisell_order_number
WHERE NOT EXISTS (SELECT FROM omisync.other_shops_orders AS s WHERE s.omisell_order_number = r.omisell_order_number)
  AND (k.omisell_order_number IS NULL
       OR k.omisell_updated_at IS NULL
       OR k.omisell_updated_at < to_timestamp(r.updated_time)
       OR (k.status_id IS DISTINCT FROM r.status_id AND k.omisell_updated_at <= to_timestamp(r.updated_time)));

-- name: open_since()
-- How far back the orders reach that may still move: their number, and Omisell's time of the oldest change (Unix seconds).
SELECT count(*)::integer AS orders, extract(epoch FROM min(omisell_updated_at))::bigint AS oldest FROM omisync.orders WHERE NOT is_final;

-- name: open_after(after, most)
-- The orders that may still move, in the order of their numbers, a page at a time.
SELECT order_number, omisell_order_number FROM omisync.orders
WHERE NOT is_final AND omisell_order_number IS NOT NULL AND order_number > :after::text
ORDER BY order_number LIMIT :most;

-- name: numbers(numbers)
-- Omisell's numbers of orders named by either number.
SELECT order_number, omisell_order_number FROM omisync.orders
WHERE omisell_order_number IS NOT NULL AND (order_number = ANY(:numbers::text[]) OR omisell_order_number = ANY(:numbers::text[]));
