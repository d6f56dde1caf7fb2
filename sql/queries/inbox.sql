-- Pushes: stored before they are answered, then judged.

-- name: add(dedup_keys, events, categories, handled, request_ids, order_numbers, omisell_order_numbers, status_ids, updated_times, shop_ids, authorization_forms, bodies)
-- Stores deliveries, many at once; a repeat is left out of the answer.
INSERT INTO omisync.inbox (dedup_key, event, category, request_id, order_number, omisell_order_number, status_id,
                           updated_time, shop_id, authorization_form, body, state, handled_at)
SELECT r.dedup_key, r.event, r.category, r.request_id, r.order_number, r.omisell_order_number, r.status_id,
       r.updated_time, r.shop_id, r.authorization_form, r.body,
       CASE WHEN r.handled THEN 'new' ELSE 'unhandled' END, CASE WHEN r.handled THEN NULL ELSE now() END
FROM unnest(:dedup_keys::uuid[], :events::text[], :categories::text[], :handled::boolean[], :request_ids::text[],
            :order_numbers::text[], :omisell_order_numbers::text[], :status_ids::bigint[], :updated_times::bigint[],
            :shop_ids::bigint[], :authorization_forms::text[], :bodies::bytea[])
    AS r (dedup_key, event, category, handled, request_id, order_number, omisell_order_number, status_id,
          updated_time, shop_id, authorization_form, body)
ON CONFLICT (dedup_key) DO NOTHING
RETURNING dedup_key;

-- name: route(most, shop_id, owed_delay)
-- Judges new pushes and asks for the fetches they call for, one an order. No fetch for another shop's order, nor for a
-- push that says nothing newer than what is known: older than the detail applied, or a change that an earlier push told
-- (the guide's triple) and a detail fetched since. The order.created that answers our own add tells what the answer told:
-- its detail is owed, not urgent, and most often the next push comes first and one fetch serves both.
WITH batch AS (
    SELECT * FROM omisync.inbox WHERE state = 'new' ORDER BY id LIMIT :most FOR UPDATE SKIP LOCKED
), judged AS (
    SELECT b.id, b.order_number, b.omisell_order_number, b.updated_time, b.received_at,
        CASE
            WHEN b.event = 'order.created' AND k.detail IS NULL AND k.status_id = b.status_id
                AND (b.shop_id IS NULL OR b.shop_id = :shop_id::bigint) THEN 'owed'
            WHEN b.shop_id IS NOT NULL AND b.shop_id <> :shop_id::bigint THEN 'ignored'
            WHEN b.omisell_order_number IS NULL THEN 'unhandled'
            WHEN k.detail IS NOT NULL AND b.category = 'order' AND to_timestamp(b.updated_time) < k.omisell_updated_at THEN 'known'
            WHEN k.detail IS NOT NULL AND b.category = 'order' AND to_timestamp(b.updated_time) = k.omisell_updated_at
                AND b.status_id = k.status_id AND EXISTS (
                    SELECT FROM omisync.inbox AS p
                    WHERE p.omisell_order_number = b.omisell_order_number AND p.id < b.id
                      AND p.status_id = b.status_id AND p.updated_time = b.updated_time AND p.category = 'order'
                      AND p.state IN ('done', 'known') AND p.received_at <= k.synced_at) THEN 'known'
            ELSE 'waiting'
        END AS verdict
    FROM batch AS b LEFT JOIN omisync.orders AS k ON k.omisell_order_number = b.omisell_order_number
), wanted AS (
    SELECT j.omisell_order_number, max(j.order_number) AS order_number, max(j.updated_time) AS updated_time,
           min(j.received_at) AS received_at
    FROM judged AS j WHERE j.verdict = 'waiting' GROUP BY j.omisell_order_number
), dated AS (
    -- so that a sweep, which sees the same time in Omisell's list, does not take the order for stale
    UPDATE omisync.orders AS k SET omisell_updated_at = coalesce(k.omisell_updated_at, to_timestamp(j.updated_time))
    FROM judged AS j WHERE j.verdict = 'owed' AND k.omisell_order_number = j.omisell_order_number
), owing AS (
    INSERT INTO omisync.refreshes (omisell_order_number, order_number, source, priority, wanted_at, available_at)
    SELECT DISTINCT ON (j.omisell_order_number) j.omisell_order_number, j.order_number, 'webhook', 2,
           to_timestamp(j.updated_time), now() + make_interval(secs => :owed_delay::float8)
    FROM judged AS j
    WHERE j.verdict = 'owed' AND j.omisell_order_number NOT IN (SELECT w.omisell_order_number FROM wanted AS w)
    ORDER BY j.omisell_order_number
    ON CONFLICT (omisell_order_number) DO NOTHING
), asked AS (
    INSERT INTO omisync.refreshes AS f (omisell_order_number, order_number, source, priority, wanted_at, requested_at)
    SELECT w.omisell_order_number, w.order_number, 'webhook', 0, to_timestamp(w.updated_time), w.received_at FROM wanted AS w
    ORDER BY w.omisell_order_number
    ON CONFLICT (omisell_order_number) DO UPDATE SET
        order_number = coalesce(excluded.order_number, f.order_number),
        source = 'webhook',
        priority = 0,
        wanted_at = greatest(f.wanted_at, excluded.wanted_at),
        generation = f.generation + 1,
        requested_at = CASE WHEN f.priority = 2 THEN excluded.requested_at
                            ELSE least(f.requested_at, excluded.requested_at) END,
        available_at = least(f.available_at, now())
), marked AS (
    UPDATE omisync.inbox AS i
    SET state = CASE j.verdict WHEN 'owed' THEN 'known' ELSE j.verdict END, handled_at = CASE WHEN j.verdict = 'waiting' THEN NULL ELSE now() END
    FROM judged AS j WHERE i.id = j.id
    RETURNING i.state, i.event
)
SELECT state, event, count(*) AS pushes FROM marked GROUP BY state, event;

-- name: purge(keep_seconds, most)
-- Removes pushes that are handled and old; Omisell repeats a push for less than three hours.
DELETE FROM omisync.inbox WHERE id IN (
    SELECT id FROM omisync.inbox
    WHERE received_at < now() - make_interval(secs => :keep_seconds::float8) AND state NOT IN ('new', 'waiting')
    ORDER BY id LIMIT :most FOR UPDATE SKIP LOCKED)
RETURNING id;
