-- What the sender does with the outbox.

-- name: overtaken(most)
-- The orders that `annul` may be about, those whose cancels wait the longest first.
SELECT c.order_number
FROM omisync.outbox AS c
CROSS JOIN LATERAL (
    SELECT x.state, x.maybe_sent_at FROM omisync.outbox AS x
    WHERE x.order_number = c.order_number AND x.kind = 'order.add' AND x.id < c.id
    ORDER BY x.id DESC LIMIT 1
) AS a
WHERE c.kind = 'order.cancel' AND c.state = 'pending'
  AND a.state IN ('pending', 'failed') AND a.maybe_sent_at IS NULL
  AND NOT EXISTS (SELECT FROM omisync.orders AS k WHERE k.order_number = c.order_number AND k.omisell_order_number IS NOT NULL)
ORDER BY c.id LIMIT :most;

-- name: annul(order_numbers)
-- Adds of which surely nothing is at Omisell, and that a later cancel is waiting for: both end without a call. Where the
-- number was enqueued anew meanwhile, the cancel was not meant for the new row, and the old add stays as it is.
WITH pair AS (
    SELECT c.id AS cancel_id, a.id AS add_id,
        EXISTS (SELECT FROM omisync.outbox AS n
                WHERE n.order_number = c.order_number AND n.kind = 'order.add' AND n.id > c.id
                  AND n.state IN ('pending', 'sending', 'done')) AS superseded
    FROM omisync.outbox AS c
    CROSS JOIN LATERAL (
        SELECT x.id, x.state, x.maybe_sent_at FROM omisync.outbox AS x
        WHERE x.order_number = c.order_number AND x.kind = 'order.add' AND x.id < c.id
        ORDER BY x.id DESC LIMIT 1
    ) AS a
    WHERE c.kind = 'order.cancel' AND c.state = 'pending' AND c.order_number = ANY(:order_numbers::text[])
      AND a.state IN ('pending', 'failed') AND a.maybe_sent_at IS NULL
      AND NOT EXISTS (SELECT FROM omisync.orders AS k WHERE k.order_number = c.order_number AND k.omisell_order_number IS NOT NULL)
), locked AS (
    SELECT o.id FROM omisync.outbox AS o
    WHERE o.id IN (SELECT add_id FROM pair UNION ALL SELECT cancel_id FROM pair)
      AND CASE o.kind WHEN 'order.add' THEN o.state IN ('pending', 'failed') AND o.maybe_sent_at IS NULL
                      ELSE o.state = 'pending' END
    FOR UPDATE SKIP LOCKED
), both_locked AS (
    SELECT p.* FROM pair AS p
    WHERE p.add_id IN (SELECT id FROM locked) AND p.cancel_id IN (SELECT id FROM locked)
), ended AS (
    UPDATE omisync.outbox AS o
    SET state = 'done', outcome = 'annulled', finished_at = now(), error = NULL, maybe_sent_at = NULL, settle_at = NULL
    WHERE o.id IN (SELECT add_id FROM both_locked WHERE NOT superseded UNION ALL SELECT cancel_id FROM both_locked)
    RETURNING o.id, o.kind, o.order_number
), told AS (
    INSERT INTO omisync.order_events (order_number, kind, source, data)
    SELECT e.order_number, 'annulled', 'outbox', jsonb_build_object('outbox_id', e.id)
    FROM ended AS e WHERE e.kind = 'order.add'
    RETURNING id, order_number
)
SELECT e.kind, t.id AS event_id FROM ended AS e LEFT JOIN told AS t ON t.order_number = e.order_number AND e.kind = 'order.add';

-- name: is_due(kind)
-- Whether a claim would find anything: asked before a place in Omisell's budget is waited for. The earliest, not any
-- that is due: of that the index is sure, whatever the statistics say of the archive.
SELECT NOT EXISTS (SELECT FROM omisync.pauses WHERE kind = :kind)
    AND (coalesce((SELECT min(available_at) FROM omisync.outbox WHERE state = 'pending' AND kind = :kind) <= now(), false)
         OR EXISTS (SELECT FROM omisync.outbox WHERE state = 'sending' AND kind = :kind AND lease_until < now()));

-- name: claim(kind, most, since, lease_token, lease_seconds)
-- Takes what is due, oldest first, under one lease, and whatever a dead worker left behind. Only the first unfinished
-- row of an order is taken, nothing that is paused, and neither add nor cancel where `annul` is about to end both. What
-- else there is of an order is looked for row by row (OFFSET 0 keeps Postgres from making a join with the whole backlog
-- of it), as few are taken. With :since, Unix seconds, only what was due from then on, and nothing that was left behind:
-- what was taken long ago may still be in the indexes, and is not walked over each time.
WITH due AS (
    SELECT o.id, o.maybe_sent_at, false AS expired
    FROM omisync.outbox AS o
    WHERE o.state = 'pending' AND o.kind = :kind AND o.available_at <= now()
      AND o.available_at >= coalesce(to_timestamp(:since::float8), '-infinity')
      AND NOT EXISTS (
          SELECT FROM omisync.outbox AS e
          WHERE e.order_number = o.order_number AND e.id < o.id AND e.state IN ('pending', 'sending') OFFSET 0)
      AND (o.kind <> 'order.add' OR o.maybe_sent_at IS NOT NULL OR NOT EXISTS (
          SELECT FROM omisync.outbox AS c
          WHERE c.order_number = o.order_number AND c.id > o.id AND c.state = 'pending' AND c.kind = 'order.cancel'
          OFFSET 0)
          OR EXISTS (SELECT FROM omisync.orders AS k WHERE k.order_number = o.order_number AND k.omisell_order_number IS NOT NULL OFFSET 0))
      AND (o.kind <> 'order.cancel'
          OR (SELECT a.state FROM omisync.outbox AS a
              WHERE a.order_number = o.order_number AND a.kind = 'order.add' AND a.id < o.id
              ORDER BY a.id DESC LIMIT 1) IS DISTINCT FROM 'failed'
          OR EXISTS (SELECT FROM omisync.orders AS k WHERE k.order_number = o.order_number AND k.omisell_order_number IS NOT NULL OFFSET 0))
      AND NOT EXISTS (SELECT FROM omisync.pauses AS p WHERE p.kind = :kind)
    ORDER BY o.available_at, o.id
    LIMIT :most
    FOR UPDATE OF o SKIP LOCKED
), left_behind AS (
    SELECT o.id, o.maybe_sent_at, true AS expired
    FROM omisync.outbox AS o
    WHERE o.state = 'sending' AND o.kind = :kind AND o.lease_until < now() AND :since::float8 IS NULL
      AND NOT EXISTS (SELECT FROM omisync.pauses AS p WHERE p.kind = :kind)
    LIMIT :most
    FOR UPDATE OF o SKIP LOCKED
), taken AS (
    SELECT * FROM left_behind UNION ALL SELECT * FROM due LIMIT :most
), claimed AS (
    UPDATE omisync.outbox AS o
    SET state = 'sending',
        lease_token = :lease_token::uuid,
        lease_until = now() + make_interval(secs => :lease_seconds::float8),
        maybe_sent_at = coalesce(o.maybe_sent_at, now()),
        settle_at = CASE WHEN t.expired THEN NULL ELSE o.settle_at END
    FROM taken AS t
    WHERE o.id = t.id
    RETURNING o.*, t.expired, t.maybe_sent_at AS was_sent_at
)
SELECT c.id, c.kind, c.order_number, c.payload::text AS payload, c.attempts, c.expired,
       c.was_sent_at IS NOT NULL AS uncertain,
       -- of a cancel the age of its order: that is what is looked for
       extract(epoch FROM now() - CASE WHEN c.kind = 'order.add' THEN coalesce(c.was_sent_at, c.created_at)
           ELSE (SELECT min(a.created_at) FROM omisync.outbox AS a WHERE a.order_number = c.order_number) END)::float8 AS sent_age,
       extract(epoch FROM now() - c.settle_at)::float8 AS settling_for,
       coalesce((SELECT max(l.seconds) FROM omisync.list_lag AS l WHERE l.hour > now() - interval '1 day'), 0) AS list_lag,
       extract(epoch FROM c.created_at)::bigint AS created_time,
       extract(epoch FROM c.available_at)::float8 AS due_since,
       k.omisell_order_number, k.status_id
FROM claimed AS c LEFT JOIN LATERAL (
    SELECT o.omisell_order_number, o.status_id FROM omisync.orders AS o WHERE o.order_number = c.order_number OFFSET 0
) AS k ON true
ORDER BY c.available_at, c.id;

-- name: renew(lease_tokens, lease_seconds)
-- Keeps the leases of calls still in flight.
UPDATE omisync.outbox SET lease_until = now() + make_interval(secs => :lease_seconds::float8)
WHERE state = 'sending' AND lease_token = ANY(:lease_tokens::uuid[]) AND omisync.unhurried()
RETURNING id;

-- name: finish(ids, lease_tokens, states, outcomes, errors, spent, delays, reached, settlings, events, sources, event_data, omisell_order_numbers, status_ids, status_names, finals, updated_times, shop_ids)
-- Ends claims, many at once: what is done is mapped and told, what failed says why, what is to be tried again goes back
-- with its delay. A claim whose lease has gone to somebody else changes nothing: it is absent from the answer. That the
-- row is being sent is not asked: only such a row has a lease (outbox_leased), and asked for, Postgres would look through
-- the index of them, small by its statistics, with all that went through it beside an open transaction.
WITH r AS (
    SELECT * FROM unnest(
        :ids::bigint[], :lease_tokens::uuid[], :states::text[], :outcomes::text[], :errors::text[], :spent::integer[],
        :delays::float8[], :reached::text[], :settlings::boolean[], :events::text[], :sources::text[], :event_data::text[],
        :omisell_order_numbers::text[], :status_ids::bigint[], :status_names::text[], :finals::boolean[],
        :updated_times::bigint[], :shop_ids::bigint[])
    AS r (id, lease_token, state, outcome, error, spent, delay, reached, settling, event, source, event_data,
          omisell_order_number, status_id, status_name, is_final, updated_time, shop_id)
), ended AS (
    UPDATE omisync.outbox AS o
    SET state = r.state,
        outcome = r.outcome,
        error = r.error,
        attempts = o.attempts + r.spent,
        -- without a delay a row keeps its place in the queue
        available_at = CASE WHEN r.state = 'pending' AND r.delay IS NOT NULL
                            THEN now() + make_interval(secs => r.delay) ELSE o.available_at END,
        finished_at = CASE WHEN r.state = 'pending' THEN NULL ELSE now() END,
        maybe_sent_at = CASE WHEN r.reached = 'no' THEN NULL ELSE o.maybe_sent_at END,
        settle_at = CASE WHEN r.reached = 'no' THEN NULL
                         WHEN r.settling THEN now()
                         ELSE o.settle_at END,
        lease_token = NULL,
        lease_until = NULL
    FROM r
    WHERE o.id = r.id AND o.lease_token = r.lease_token
    RETURNING r.*, o.order_number
), mapped AS (
    INSERT INTO omisync.orders AS k (order_number, omisell_order_number, shop_id, status_id, status_name, is_final,
                                     omisell_updated_at)
    SELECT e.order_number, e.omisell_order_number, e.shop_id, e.status_id, e.status_name, coalesce(e.is_final, false),
           to_timestamp(e.updated_time)
    FROM ended AS e WHERE e.outcome IN ('added', 'adopted')
    ON CONFLICT (order_number) DO UPDATE SET
        omisell_order_number = coalesce(k.omisell_order_number, excluded.omisell_order_number),
        shop_id = coalesce(k.shop_id, excluded.shop_id),
        -- what a fetch has brought is newer than the answer to the add
        status_id = coalesce(k.status_id, excluded.status_id),
        status_name = coalesce(k.status_name, excluded.status_name),
        is_final = CASE WHEN k.status_id IS NULL THEN excluded.is_final ELSE k.is_final END,
        omisell_updated_at = coalesce(k.omisell_updated_at, excluded.omisell_updated_at)
    -- whether a push or a sweep has brought it before, and told so
    RETURNING order_number, xmax <> 0 AS was_known
), second_at_omisell AS (
    INSERT INTO omisync.findings (kind, order_number, subject, data)
    SELECT 'second_at_omisell', e.order_number, e.omisell_order_number,
           jsonb_build_object('kept', k.omisell_order_number, 'other', e.omisell_order_number)
    FROM ended AS e CROSS JOIN LATERAL (
        SELECT o.omisell_order_number FROM omisync.orders AS o WHERE o.order_number = e.order_number OFFSET 0
    ) AS k
    WHERE e.outcome IN ('added', 'adopted') AND k.omisell_order_number <> e.omisell_order_number
    UNION
    SELECT 'second_at_omisell', e.order_number, other, jsonb_build_object('kept', e.omisell_order_number, 'other', other)
    FROM ended AS e CROSS JOIN LATERAL jsonb_array_elements_text(e.event_data::jsonb -> 'also_at_omisell') AS other
    WHERE e.outcome = 'adopted'
    ON CONFLICT DO NOTHING
), told AS (
    INSERT INTO omisync.order_events (order_number, omisell_order_number, kind, new_status_id, source, data)
    SELECT e.order_number, e.omisell_order_number, e.event, e.status_id, e.source, e.event_data::jsonb
    FROM ended AS e LEFT JOIN mapped AS m USING (order_number)
    WHERE e.event IS NOT NULL AND NOT (e.event IN ('added', 'adopted') AND coalesce(m.was_known, false))
    RETURNING id, order_number
)
SELECT e.id, t.id AS event_id FROM ended AS e LEFT JOIN told AS t ON t.order_number = e.order_number AND e.event IS NOT NULL;


-- name: purge(keep_seconds, most)
-- plan: by values
-- Removes finished rows that are old enough, oldest first, a small batch at a time.
DELETE FROM omisync.outbox WHERE id IN (
    SELECT id FROM omisync.outbox
    WHERE state IN ('done', 'discarded') AND finished_at < now() - make_interval(secs => :keep_seconds::float8)
    ORDER BY finished_at LIMIT :most FOR UPDATE SKIP LOCKED)
RETURNING id;
