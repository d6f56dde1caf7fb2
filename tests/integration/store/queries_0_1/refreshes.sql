-- Fetches that are wanted: one row an order, whoever asked.

-- name: request(omisell_order_numbers, order_numbers, wanted_times, source, priority)
-- Asks for fetches, many at once.
INSERT INTO omisync.refreshes AS f (omisell_order_number, order_number, source, priority, wanted_at)
SELECT r.omisell_order_number, r.order_number, :source::text, :priority::smallint, to_timestamp(r.wanted_time)
FROM unnest(:omisell_order_numbers::text[], :order_numbers::text[], :wanted_times::bigint[])
    AS r (omisell_order_number, order_number, wanted_time)
ORDER BY r.omisell_order_number
ON CONFLICT (omisell_order_number) DO UPDATE SET
    order_number = coalesce(excluded.order_number, f.order_number),
    source = CASE WHEN excluded.source = 'operator' OR excluded.priority < f.priority THEN excluded.source ELSE f.source END,
    priority = least(f.priority, excluded.priority),
    wanted_at = greatest(f.wanted_at, excluded.wanted_at),
    generation = f.generation + 1,
    requested_at = CASE WHEN excluded.priority < 2 AND f.priority = 2 THEN now() ELSE f.requested_at END,
    available_at = least(f.available_at, now())
RETURNING omisell_order_number;

-- name: is_due(owed)
-- Whether a claim would find anything: asked before a place in Omisell's budget is waited for.
SELECT coalesce(least(
        (SELECT min(available_at) FROM omisync.refreshes WHERE lease_token IS NULL AND NOT :owed::boolean AND priority = 0),
        (SELECT min(available_at) FROM omisync.refreshes WHERE lease_token IS NULL AND NOT :owed::boolean AND priority = 1),
        (SELECT min(available_at) FROM omisync.refreshes WHERE lease_token IS NULL AND :owed::boolean AND priority = 2)
    ) <= now(), false)
    OR EXISTS (SELECT FROM omisync.refreshes WHERE lease_token IS NOT NULL AND lease_until < now());

-- name: claim(owed, confirmed, most, lease_token, lease_seconds)
-- Takes the fetches that are due, the most urgent and oldest first: those that were asked for, or those that are only
-- owed. Of the former, while the list is being read for the pushes (confirmed), only those that this reading cannot
-- answer (see unconfirmed). An order whose add is being sent this moment is left until that call has ended: its answer
-- comes first. A detail must be as new as what was told, and as what is known already from the list.
WITH due AS (
    SELECT f.omisell_order_number FROM omisync.refreshes AS f
    WHERE f.lease_token IS NULL AND f.available_at <= now() AND (f.priority = 2) = :owed::boolean
      AND NOT (:confirmed::boolean AND f.priority = 0 AND f.source <> 'operator' AND EXISTS (
          SELECT FROM omisync.orders AS k
          WHERE k.omisell_order_number = f.omisell_order_number
            AND f.wanted_at > coalesce(k.omisell_updated_at, '-infinity') OFFSET 0))
      AND NOT EXISTS (
          SELECT FROM omisync.outbox AS o
          WHERE o.order_number = f.order_number AND o.state = 'sending' AND o.kind = 'order.add' OFFSET 0)
    ORDER BY f.priority, f.available_at LIMIT :most FOR UPDATE OF f SKIP LOCKED
), left_behind AS (
    SELECT f.omisell_order_number FROM omisync.refreshes AS f
    WHERE f.lease_token IS NOT NULL AND f.lease_until < now() AND (f.priority = 2) = :owed::boolean LIMIT :most FOR UPDATE OF f SKIP LOCKED
), taken AS (
    SELECT * FROM left_behind UNION ALL SELECT * FROM due LIMIT :most
)
UPDATE omisync.refreshes AS f
SET lease_token = :lease_token::uuid, lease_until = now() + make_interval(secs => :lease_seconds::float8)
FROM taken AS t LEFT JOIN omisync.orders AS k USING (omisell_order_number)
WHERE f.omisell_order_number = t.omisell_order_number AND omisync.unhurried()
RETURNING f.omisell_order_number, f.order_number, f.source, f.generation, f.attempts,
    extract(epoch FROM greatest(f.wanted_at, k.omisell_updated_at))::bigint AS wanted_time, now() AS fetched_at,
    extract(epoch FROM now() - f.requested_at)::float8 AS waited;

-- name: unconfirmed(most)
-- Of the fetches due for which pushes wait, those of which nothing newer is known yet than before the push, with the time
-- that Omisell told; the oldest first. And the database's clock, before anything is read to answer them.
SELECT f.omisell_order_number, extract(epoch FROM f.wanted_at)::bigint AS wanted_time, now() AS read_at
FROM omisync.refreshes AS f LEFT JOIN omisync.orders AS k USING (omisell_order_number)
WHERE f.lease_token IS NULL AND f.available_at <= now() AND f.priority = 0 AND f.source <> 'operator'
  AND f.wanted_at > coalesce(k.omisell_updated_at, '-infinity') AND k.order_number IS NOT NULL
ORDER BY f.available_at LIMIT :most;

-- name: renew(lease_tokens, lease_seconds)
-- Keeps the leases of fetches still in flight.
UPDATE omisync.refreshes SET lease_until = now() + make_interval(secs => :lease_seconds::float8)
WHERE lease_token = ANY(:lease_tokens::uuid[]) AND omisync.unhurried()
RETURNING omisell_order_number;

-- name: release(omisell_order_numbers, lease_tokens, delays, spent, errors)
-- Gives fetches back, to be tried again after their delays.
UPDATE omisync.refreshes AS f
SET lease_token = NULL, lease_until = NULL, attempts = f.attempts + r.spent, error = r.error,
    available_at = now() + make_interval(secs => r.delay)
FROM unnest(:omisell_order_numbers::text[], :lease_tokens::uuid[], :delays::float8[], :spent::integer[], :errors::text[])
    AS r (omisell_order_number, lease_token, delay, spent, error)
WHERE f.omisell_order_number = r.omisell_order_number AND f.lease_token = r.lease_token AND omisync.unhurried()
RETURNING f.omisell_order_number;

-- name: drop(omisell_order_numbers, lease_tokens, generations, inbox_state)
-- Ends fetches that bring nothing (an order that Omisell does not know, another shop's), and the pushes that asked. What
-- was asked for meanwhile is tried anew, unless it is another shop's.
WITH r AS (
    SELECT * FROM unnest(:omisell_order_numbers::text[], :lease_tokens::uuid[], :generations::bigint[])
    AS r (omisell_order_number, lease_token, generation)
), held AS (
    SELECT f.omisell_order_number, :inbox_state::text = 'ignored' OR f.generation = r.generation AS ends
    FROM omisync.refreshes AS f JOIN r USING (omisell_order_number)
    WHERE f.lease_token = r.lease_token
    FOR UPDATE OF f
), kept AS (
    UPDATE omisync.refreshes AS f SET lease_token = NULL, lease_until = NULL, attempts = 0
    FROM held AS h WHERE f.omisell_order_number = h.omisell_order_number AND NOT h.ends
), gone AS (
    DELETE FROM omisync.refreshes AS f USING held AS h
    WHERE f.omisell_order_number = h.omisell_order_number AND h.ends
    RETURNING f.omisell_order_number
), remembered AS (
    INSERT INTO omisync.other_shops_orders (omisell_order_number)
    SELECT omisell_order_number FROM gone WHERE :inbox_state::text = 'ignored'
    ON CONFLICT DO NOTHING
), marked AS (
    UPDATE omisync.inbox AS i SET state = :inbox_state::text, handled_at = now()
    FROM gone WHERE i.omisell_order_number = gone.omisell_order_number AND i.state = 'waiting'
)
SELECT omisell_order_number FROM gone;
