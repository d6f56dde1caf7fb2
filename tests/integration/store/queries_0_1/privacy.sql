-- The end of personal data: what is long final, and what an operator names.

-- name: due(keep_seconds, most)
-- Orders that have been final the longest, of those that changed last before keep_seconds ago.
SELECT k.order_number FROM omisync.orders AS k
WHERE k.is_final AND k.forgotten_at IS NULL
  AND coalesce(omisell_updated_at, known_since) < now() - make_interval(secs => :keep_seconds::float8)
  AND NOT EXISTS (SELECT FROM omisync.outbox AS o
                  WHERE o.order_number = k.order_number AND o.state IN ('pending', 'sending', 'failed') OFFSET 0)
ORDER BY coalesce(omisell_updated_at, known_since) LIMIT :most;

-- name: due_rows(keep_seconds, most)
-- Order numbers of rows that never became an order and ended before keep_seconds ago: given up, or annulled.
SELECT DISTINCT order_number FROM (
    SELECT o.order_number FROM omisync.outbox AS o
    WHERE o.forgotten_at IS NULL AND (o.state = 'discarded' OR o.outcome = 'annulled')
      AND o.finished_at < now() - make_interval(secs => :keep_seconds::float8)
      AND NOT EXISTS (SELECT FROM omisync.orders AS k WHERE k.order_number = o.order_number AND NOT k.is_final)
      AND NOT EXISTS (SELECT FROM omisync.outbox AS n WHERE n.order_number = o.order_number AND n.state IN ('pending', 'sending', 'failed'))
    ORDER BY o.finished_at LIMIT :most) AS oldest;

-- name: number(number)
-- The shop's number of an order named by either number; NULL if neither orders nor the outbox has it.
SELECT coalesce(
    (SELECT k.order_number FROM omisync.orders AS k WHERE k.order_number = :number::text),
    (SELECT k.order_number FROM omisync.orders AS k WHERE k.omisell_order_number = :number::text),
    (SELECT o.order_number FROM omisync.outbox AS o WHERE o.order_number = :number::text LIMIT 1));

-- name: locked(order_numbers)
-- Locks orders before their other rows, as everybody does who changes both. A statement of its own: the next one sees what
-- whoever was waited for has written.
SELECT order_number FROM omisync.orders WHERE order_number = ANY(:order_numbers::text[])
ORDER BY order_number FOR NO KEY UPDATE;

-- name: held(order_numbers)
-- What there is of orders that may hold personal data, and what stands against its removal.
SELECT n.order_number, k.order_number IS NOT NULL AS is_known, k.is_final, k.status_id, k.status_name, k.forgotten_at,
    (SELECT o.id FROM omisync.outbox AS o
     WHERE o.order_number = n.order_number AND o.state IN ('pending', 'sending', 'failed') ORDER BY o.id LIMIT 1) AS open_id,
    (SELECT o.state FROM omisync.outbox AS o
     WHERE o.order_number = n.order_number AND o.state IN ('pending', 'sending', 'failed') ORDER BY o.id LIMIT 1) AS open_state,
    (SELECT count(*) FROM omisync.outbox AS o WHERE o.order_number = n.order_number AND o.payload IS NOT NULL) AS payloads,
    (k.detail IS NOT NULL)::integer AS details,
    (SELECT count(*) FROM omisync.parcels AS p WHERE p.order_number = n.order_number) AS parcels,
    (SELECT count(*) FROM omisync.returns AS t WHERE t.order_number = n.order_number) AS returns,
    (SELECT count(*) FROM omisync.inbox AS i WHERE i.omisell_order_number = k.omisell_order_number) AS pushes
FROM unnest(:order_numbers::text[]) AS n (order_number) LEFT JOIN omisync.orders AS k USING (order_number)
ORDER BY n.order_number;

-- name: forget(order_numbers, source)
-- Removes the buyer's data of orders wherever it is kept, and says so in their timeline. To be called after `locked`.
-- Of what quotes (Omisell's words in an error, notes of the checks, the reason of a cancel) nothing is kept.
WITH chosen AS (
    SELECT n.order_number, k.omisell_order_number, k.status_id
    FROM unnest(:order_numbers::text[]) AS n (order_number) LEFT JOIN omisync.orders AS k USING (order_number)
), order_rows AS (
    UPDATE omisync.orders AS k SET detail = omisync.without_personal_data(k.detail), forgotten_at = now()
    FROM chosen AS c WHERE k.order_number = c.order_number
), outbox_rows AS (
    UPDATE omisync.outbox AS o
    SET payload = omisync.without_personal_data(o.payload), forgotten_at = now(),
        error = CASE WHEN o.error IS NOT NULL THEN 'removed with the buyer''s data' END
    FROM chosen AS c WHERE o.order_number = c.order_number AND o.state IN ('done', 'discarded')
), parcel_rows AS (
    UPDATE omisync.parcels AS p
    SET items = omisync.without_personal_data(p.items), data = omisync.without_personal_data(p.data)
    FROM chosen AS c WHERE p.order_number = c.order_number
), return_rows AS (
    UPDATE omisync.returns AS t SET data = omisync.without_personal_data(t.data)
    FROM chosen AS c WHERE t.order_number = c.order_number
), pushes AS (
    -- those being judged just now are held by whoever may wait for us: their turn is afterwards, see empty_pushes
    UPDATE omisync.inbox AS i SET body = ''
    FROM chosen AS c WHERE i.omisell_order_number = c.omisell_order_number AND i.state <> 'new'
), events AS (
    UPDATE omisync.order_events AS e
    SET data = omisync.without_personal_data(e.data) - ARRAY['why', 'noted', 'changed', 'error']
    FROM chosen AS c WHERE e.order_number = c.order_number AND jsonb_typeof(e.data) = 'object'
), told AS (
    INSERT INTO omisync.order_events (order_number, omisell_order_number, kind, old_status_id, new_status_id, source)
    SELECT c.order_number, c.omisell_order_number, 'forgotten', c.status_id, c.status_id, :source::text
    FROM chosen AS c ORDER BY c.order_number
    RETURNING id, order_number
)
SELECT id AS event_id, order_number FROM told;

-- name: empty_pushes(order_numbers)
-- Pushes of forgotten orders that were not judged yet. In a transaction of its own, after that of `forget`.
UPDATE omisync.inbox AS i SET body = '' FROM omisync.orders AS k
WHERE k.order_number = ANY(:order_numbers::text[]) AND k.forgotten_at IS NOT NULL
  AND i.omisell_order_number = k.omisell_order_number AND i.body <> ''
RETURNING i.id;
