-- hooks.on_change: called once for each event, in its order per order.

-- name: in_turn(order_numbers)
-- Waits for whoever is writing events of these orders, until the transaction's end: their hook calls come first.
SELECT count(pg_advisory_xact_lock(hashtext('omisync.hook_calls'), hashtext(o.order_number)))
FROM (SELECT DISTINCT n AS order_number FROM unnest(:order_numbers::text[]) AS n ORDER BY n) AS o;

-- name: whose_turn(order_numbers, most)
-- The first of these orders of which nobody is writing events; nobody else does until the transaction's end.
SELECT n AS order_number FROM unnest(:order_numbers::text[]) AS n
WHERE pg_try_advisory_xact_lock(hashtext('omisync.hook_calls'), hashtext(n)) LIMIT :most;

-- name: behind(event_ids)
-- Of new events, those that must wait because an earlier event of their order still waits for its hook.
SELECT DISTINCT e.id FROM omisync.order_events AS e JOIN omisync.hook_calls AS h USING (order_number)
WHERE e.id = ANY(:event_ids::bigint[]) AND h.event_id < e.id;

-- name: postpone(event_id, seconds, error)
-- Remembers a call that failed, or that waits behind one.
INSERT INTO omisync.hook_calls AS h (event_id, order_number, attempts, available_at, error)
SELECT e.id, e.order_number, CASE WHEN :error::text IS NULL THEN 0 ELSE 1 END,
       now() + make_interval(secs => :seconds::float8), :error::text
FROM omisync.order_events AS e WHERE e.id = :event_id
ON CONFLICT (event_id) DO UPDATE SET attempts = h.attempts + 1, available_at = excluded.available_at, error = excluded.error
RETURNING attempts;

-- name: due()
-- The call that is due the longest, of those that are the first of their order; locked, so that one replica makes it.
SELECT h.event_id, h.order_number, h.attempts FROM omisync.hook_calls AS h
WHERE h.available_at <= now()
  AND NOT EXISTS (SELECT FROM omisync.hook_calls AS e WHERE e.order_number = h.order_number AND e.event_id < h.event_id)
ORDER BY h.available_at LIMIT 1 FOR UPDATE OF h SKIP LOCKED;

-- name: done(event_id)
DELETE FROM omisync.hook_calls WHERE event_id = :event_id RETURNING event_id;

-- name: event(event_id)
-- An event as the hook sees it: its row, with the columns' names.
SELECT to_jsonb(e)::text FROM omisync.order_events AS e WHERE e.id = :event_id;
