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

-- name: route(most, shop_id, owed_delay, firsts, omisell_now, settled)
-- plan: by values
-- Judges new pushes and asks for the fetches they call for, one an order:
--   ignored  another shop's order
--   unhandled  names no order of Omisell's
--   known    says nothing newer than the detail applied: an older change, or the same one (the guide's triple) told by an
--            earlier push, or fetched so long after it that no second change of that second can be missing
--   owed     tells the status we know from the answer to our own add (also while that call is under way), or from the list;
--            only the detail is not as new: it is asked for without hurry, and most often the next push comes first and
--            one fetch serves both. Firsts: the statuses whose detail is worth a hurry (and the final ones)
--   waiting  for a fetch
-- Of a push about a forgotten order the body is not kept.
-- omisell_now: Omisell's clock, Unix seconds. settled: seconds after which a second of Omisell's is surely over.
WITH batch AS (
    SELECT * FROM omisync.inbox WHERE state = 'new' ORDER BY id LIMIT :most FOR UPDATE SKIP LOCKED
), compared AS (
    SELECT b.*, k.order_number AS known_number, k.omisell_updated_at, k.detail_updated_at, k.detail IS NOT NULL AS has_detail,
        k.synced_at, k.status_id = b.status_id AS same_status, k.is_final OR k.status_id = ANY(:firsts::bigint[]) AS is_first,
        k.forgotten_at IS NOT NULL AS is_forgotten,
        CASE WHEN b.category = 'order' THEN to_timestamp(b.updated_time) END AS told_at
    FROM batch AS b LEFT JOIN omisync.orders AS k USING (omisell_order_number)
), judged AS (
    SELECT c.id, c.order_number, c.omisell_order_number, c.told_at, c.received_at, c.is_forgotten,
        c.is_first AND c.told_at IS DISTINCT FROM c.detail_updated_at AS is_first,
        CASE
            WHEN c.shop_id <> :shop_id::bigint THEN 'ignored'
            WHEN c.omisell_order_number IS NULL THEN 'unhandled'
            WHEN c.known_number IS NULL AND EXISTS (
                SELECT FROM omisync.other_shops_orders AS s WHERE s.omisell_order_number = c.omisell_order_number) THEN 'ignored'
            WHEN c.event = 'order.created' AND NOT c.has_detail AND (c.same_status OR EXISTS (
                SELECT FROM omisync.outbox AS o
                WHERE o.order_number = c.order_number AND o.kind = 'order.add' AND o.state = 'sending')) THEN 'owed'
            WHEN c.has_detail AND c.told_at < c.detail_updated_at THEN 'known'
            WHEN c.has_detail AND c.told_at = c.detail_updated_at AND c.same_status THEN
                CASE WHEN c.synced_at - now() + to_timestamp(:omisell_now::float8 - :settled::float8) > c.told_at
                    OR EXISTS (
                    SELECT FROM omisync.inbox AS p
                    WHERE p.omisell_order_number = c.omisell_order_number AND p.id < c.id
                      AND p.status_id = c.status_id AND p.updated_time = c.updated_time AND p.category = 'order'
                      AND p.state IN ('done', 'known') AND p.received_at <= c.synced_at) THEN 'known' ELSE 'owed' END
            WHEN c.told_at < c.omisell_updated_at OR (c.told_at = c.omisell_updated_at AND c.same_status) THEN 'owed'
            ELSE 'waiting'
        END AS verdict
    FROM compared AS c
), wanted AS (
    SELECT j.omisell_order_number, max(j.order_number) AS order_number, max(j.told_at) AS told_at,
           min(j.received_at) AS received_at
    FROM judged AS j WHERE j.verdict = 'waiting' GROUP BY j.omisell_order_number
), owing AS (
    INSERT INTO omisync.refreshes (omisell_order_number, order_number, source, priority, wanted_at, available_at)
    SELECT DISTINCT ON (j.omisell_order_number) j.omisell_order_number, j.order_number, 'webhook',
           CASE WHEN j.is_first THEN 1 ELSE 2 END, j.told_at,
           now() + make_interval(secs => CASE WHEN j.is_first THEN 0 ELSE :owed_delay::float8 END)
    FROM judged AS j
    WHERE j.verdict = 'owed' AND j.omisell_order_number NOT IN (SELECT w.omisell_order_number FROM wanted AS w)
    ORDER BY j.omisell_order_number, j.told_at DESC NULLS LAST
    ON CONFLICT (omisell_order_number) DO NOTHING
), asked AS (
    INSERT INTO omisync.refreshes AS f (omisell_order_number, order_number, source, priority, wanted_at, requested_at)
    SELECT w.omisell_order_number, w.order_number, 'webhook', 0, w.told_at, w.received_at FROM wanted AS w
    ORDER BY w.omisell_order_number
    ON CONFLICT (omisell_order_number) DO UPDATE SET
        order_number = coalesce(excluded.order_number, f.order_number),
        source = 'webhook',
        priority = 0,
        wanted_at = greatest(f.wanted_at, excluded.wanted_at),
        generation = f.generation + 1,
        attempts = CASE WHEN excluded.wanted_at > f.wanted_at THEN 0 ELSE f.attempts END,
        requested_at = CASE WHEN f.priority = 2 THEN excluded.requested_at
                            ELSE least(f.requested_at, excluded.requested_at) END,
        available_at = least(f.available_at, now())
), marked AS (
    UPDATE omisync.inbox AS i
    SET state = CASE j.verdict WHEN 'owed' THEN 'known' ELSE j.verdict END, handled_at = CASE WHEN j.verdict = 'waiting' THEN NULL ELSE now() END,
        body = CASE WHEN j.is_forgotten THEN '' ELSE i.body END
    FROM judged AS j WHERE i.id = j.id AND omisync.unhurried()
    RETURNING i.state, i.event
)
SELECT state, event, count(*) AS pushes FROM marked GROUP BY state, event;

-- name: purge(keep_seconds, most)
-- plan: by values
-- Removes pushes that are handled and old; Omisell repeats a push for less than three hours.
DELETE FROM omisync.inbox WHERE id IN (
    SELECT id FROM omisync.inbox
    WHERE received_at < now() - make_interval(secs => :keep_seconds::float8) AND state NOT IN ('new', 'waiting')
    ORDER BY id LIMIT :most FOR UPDATE SKIP LOCKED)
RETURNING id;
