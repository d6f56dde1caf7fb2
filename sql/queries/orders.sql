-- What a fetched detail does to the shop's tables, and what sweeps ask of them.

-- name: apply(omisell_order_numbers, order_numbers, shop_ids, status_ids, status_names, finals, created_times, updated_times, rts_times, shipped_times, completed_times, tracking_numbers, details, parcels, fetched_ats, sources, lease_tokens, generations, retry_delays)
-- Applies details, many at once, each order's state, parcels, event, pushes and fetch together. A detail strictly older
-- than the one applied changes nothing; of two with the same second, the one fetched later is kept. The status may be
-- newer than the detail (a list told it): then it stays, and the rest is taken. retry_delays: NULL when the detail is as
-- new as was told, else the seconds after which to fetch again. An order that is known keeps its number here, however
-- the detail writes it.
WITH r AS (
    SELECT t.omisell_order_number, coalesce(k.order_number, t.order_number) AS order_number, t.shop_id, t.status_id,
        t.status_name, t.is_final, t.created_time, t.updated_time, t.rts_time, t.shipped_time, t.completed_time,
        t.tracking_numbers, t.detail, t.parcels, t.fetched_at, t.source, t.lease_token, t.generation, t.retry_delay
    FROM unnest(
        :omisell_order_numbers::text[], :order_numbers::text[], :shop_ids::bigint[], :status_ids::bigint[],
        :status_names::text[], :finals::boolean[], :created_times::bigint[], :updated_times::bigint[],
        :rts_times::bigint[], :shipped_times::bigint[], :completed_times::bigint[], :tracking_numbers::text[],
        :details::text[], :parcels::text[], :fetched_ats::timestamptz[], :sources::text[],
        :lease_tokens::uuid[], :generations::bigint[], :retry_delays::float8[])
    AS t (omisell_order_number, order_number, shop_id, status_id, status_name, is_final, created_time, updated_time,
          rts_time, shipped_time, completed_time, tracking_numbers, detail, parcels, fetched_at, source,
          lease_token, generation, retry_delay)
    LEFT JOIN omisync.orders AS k USING (omisell_order_number)
), held AS (
    -- fencing: a fetch whose lease has gone to somebody else may not speak
    SELECT f.omisell_order_number, f.generation FROM omisync.refreshes AS f JOIN r USING (omisell_order_number)
    WHERE f.lease_token = r.lease_token
    ORDER BY f.omisell_order_number FOR UPDATE OF f
), old AS (
    -- after the fetches, always: whoever locks both does it in this order
    SELECT k.* FROM omisync.orders AS k JOIN r USING (order_number) WHERE (SELECT count(*) FROM held) >= 0
    ORDER BY k.order_number FOR UPDATE OF k
), fresh AS (
    SELECT r.*, old.status_id AS old_status_id, old.order_number IS NULL AS is_new,
        old.forgotten_at IS NOT NULL AS is_forgotten,
        r.status_id IS NOT NULL AND (
            old.omisell_updated_at IS NULL
            OR (r.updated_time IS NOT NULL AND to_timestamp(r.updated_time) > old.omisell_updated_at)
            OR (coalesce(to_timestamp(r.updated_time), old.omisell_updated_at) = old.omisell_updated_at
                AND (old.status_seen_at IS NULL OR r.fetched_at >= old.status_seen_at))) AS tells_status
    FROM r JOIN held USING (omisell_order_number) LEFT JOIN old USING (order_number)
    WHERE old.order_number IS NULL OR (
        (old.omisell_order_number IS NULL OR old.omisell_order_number = r.omisell_order_number)
        AND (old.detail_updated_at IS NULL OR r.updated_time IS NULL OR to_timestamp(r.updated_time) >= old.detail_updated_at)
        AND (old.synced_at IS NULL OR to_timestamp(r.updated_time) > old.detail_updated_at OR r.fetched_at >= old.synced_at))
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
        omisell_updated_at, rts_at, shipped_at, completed_at, tracking_numbers, detail, synced_at, detail_updated_at,
        status_seen_at)
    SELECT f.order_number, f.omisell_order_number, f.shop_id, CASE WHEN f.tells_status THEN f.status_id END,
           CASE WHEN f.tells_status THEN f.status_name END, f.tells_status AND f.is_final,
           to_timestamp(f.created_time), to_timestamp(f.updated_time), to_timestamp(f.rts_time),
           to_timestamp(f.shipped_time), to_timestamp(f.completed_time),
           ARRAY(SELECT jsonb_array_elements_text(f.tracking_numbers::jsonb)),
           CASE WHEN f.is_forgotten THEN omisync.without_personal_data(f.detail::jsonb) ELSE f.detail::jsonb END, f.fetched_at,
           to_timestamp(f.updated_time), CASE WHEN f.tells_status THEN f.fetched_at END
    FROM fresh AS f ORDER BY f.order_number
    ON CONFLICT (order_number) DO UPDATE SET
        omisell_order_number = excluded.omisell_order_number,
        shop_id = coalesce(excluded.shop_id, k.shop_id),
        status_id = coalesce(excluded.status_id, k.status_id),
        status_name = coalesce(excluded.status_name, k.status_name),
        is_final = CASE WHEN excluded.status_id IS NULL THEN k.is_final ELSE excluded.is_final END,
        omisell_created_at = coalesce(excluded.omisell_created_at, k.omisell_created_at),
        omisell_updated_at = greatest(excluded.omisell_updated_at, k.omisell_updated_at),
        rts_at = excluded.rts_at,
        shipped_at = excluded.shipped_at,
        completed_at = excluded.completed_at,
        tracking_numbers = excluded.tracking_numbers,
        detail = excluded.detail,
        synced_at = excluded.synced_at,
        -- a detail that tells no time is as new as what was known when it was fetched
        detail_updated_at = coalesce(excluded.detail_updated_at, k.omisell_updated_at),
        status_seen_at = coalesce(excluded.status_seen_at, k.status_seen_at)
    WHERE k.omisell_order_number IS NULL OR k.omisell_order_number = excluded.omisell_order_number
    RETURNING k.order_number
), new_parcels AS (
    SELECT f.order_number, p.* FROM fresh AS f JOIN written USING (order_number)
    CROSS JOIN LATERAL jsonb_to_recordset(
        CASE WHEN f.is_forgotten THEN omisync.without_personal_data(f.parcels::jsonb) ELSE f.parcels::jsonb END) AS p (
        package_number text, courier_name text, courier_tracking_number text, shipment_status bigint,
        shipment_status_name text, pickup_id bigint, items jsonb, data jsonb)
), parcels_gone AS (
    DELETE FROM omisync.parcels AS p USING fresh AS f
    WHERE p.order_number = f.order_number AND f.order_number IN (SELECT order_number FROM written)
      AND NOT EXISTS (SELECT FROM new_parcels AS n WHERE n.order_number = p.order_number AND n.package_number = p.package_number)
    RETURNING p.order_number
), parcels_changed AS (
    INSERT INTO omisync.parcels AS p (order_number, package_number, courier_name, courier_tracking_number, shipment_status,
                                      shipment_status_name, pickup_id, items, data)
    SELECT n.order_number, n.package_number, n.courier_name, n.courier_tracking_number, n.shipment_status,
           n.shipment_status_name, n.pickup_id, coalesce(n.items, '[]'), coalesce(n.data, '{}') FROM new_parcels AS n
    ON CONFLICT (order_number, package_number) DO UPDATE SET
        courier_name = excluded.courier_name, courier_tracking_number = excluded.courier_tracking_number,
        shipment_status = excluded.shipment_status, shipment_status_name = excluded.shipment_status_name,
        pickup_id = excluded.pickup_id, items = excluded.items, data = excluded.data
    WHERE (p.courier_name, p.courier_tracking_number, p.shipment_status, p.shipment_status_name, p.pickup_id, p.items, p.data)
        IS DISTINCT FROM (excluded.courier_name, excluded.courier_tracking_number, excluded.shipment_status,
                          excluded.shipment_status_name, excluded.pickup_id, excluded.items, excluded.data)
    RETURNING p.order_number
), awaited AS (
    -- what the shop wanted of orders that have come to light, as it stands now: an annulment of this moment is waited for
    SELECT o.id, o.order_number, o.kind, o.state, o.outcome FROM omisync.outbox AS o
    WHERE o.order_number IN (SELECT order_number FROM written)
      AND ((o.kind = 'order.add' AND o.state IN ('pending', 'failed')) OR o.outcome = 'annulled')
    ORDER BY o.id FOR UPDATE OF o
), adopted_adds AS (
    -- the push, or the sweep, has settled an add whose outcome was not known, or was taken for absent when it failed; of
    -- several that failed the last, and none where the number lives on in another row
    UPDATE omisync.outbox AS o
    SET state = 'done', outcome = 'adopted', finished_at = now(), error = NULL, settle_at = NULL
    FROM awaited AS a
    WHERE o.id = a.id AND a.kind = 'order.add' AND (a.state = 'pending' OR (a.state = 'failed' AND NOT EXISTS (
        SELECT FROM omisync.outbox AS n
        WHERE n.order_number = a.order_number AND n.kind = 'order.add' AND n.id <> a.id
          AND (n.state IN ('pending', 'sending', 'done') OR (n.state = 'failed' AND n.id > a.id)))))
    RETURNING o.order_number, o.id
), annulled_but_there AS (
    -- the shop believes it gone, and it is not: whether to cancel it at Omisell is for a person to say
    INSERT INTO omisync.findings (kind, order_number, subject, data)
    SELECT DISTINCT ON (a.order_number) 'annulled_but_there', a.order_number, f.omisell_order_number,
           jsonb_build_object('outbox_id', a.id, 'status_id', f.status_id)
    FROM awaited AS a JOIN fresh AS f USING (order_number)
    WHERE a.outcome = 'annulled' AND NOT EXISTS (
        SELECT FROM omisync.outbox AS n
        WHERE n.order_number = a.order_number AND n.kind = 'order.add' AND n.id > a.id
          AND (n.state IN ('pending', 'sending') OR n.outcome IN ('added', 'adopted')))
    ORDER BY a.order_number, a.id DESC
    ON CONFLICT DO NOTHING
), told AS (
    INSERT INTO omisync.order_events (order_number, omisell_order_number, kind, old_status_id, new_status_id, source, data, occurred_at)
    SELECT f.order_number, f.omisell_order_number,
        CASE WHEN f.is_new OR n.is_news THEN 'adopted'
             WHEN f.tells_status AND f.old_status_id IS DISTINCT FROM f.status_id THEN 'status' ELSE 'parcels' END,
        f.old_status_id, CASE WHEN f.tells_status THEN f.status_id ELSE f.old_status_id END, f.source,
        CASE WHEN a.id IS NOT NULL THEN jsonb_build_object('outbox_id', a.id)
             WHEN f.tracking_numbers <> '[]' THEN jsonb_build_object('tracking_numbers', f.tracking_numbers::jsonb) END,
        coalesce(to_timestamp(f.updated_time), now())
    FROM fresh AS f JOIN written USING (order_number) LEFT JOIN adopted_adds AS a USING (order_number)
    -- an order that came to light while its add was being sent was told as adopted then
    CROSS JOIN LATERAL (SELECT a.id IS NOT NULL AND NOT EXISTS (
        SELECT FROM omisync.order_events AS e
        WHERE e.order_number = f.order_number AND e.kind = 'adopted' AND e.omisell_order_number = f.omisell_order_number
        OFFSET 0) AS is_news) AS n
    WHERE f.is_new OR n.is_news OR (f.tells_status AND f.old_status_id IS DISTINCT FROM f.status_id)
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
-- Of orders as Omisell lists them, those that our tables lack or have older, and why: 'missing', 'stale', 'status', or
-- 'detail' when only the detail is behind. What a fetch is waiting for already, or a push that is not judged yet, is not
-- counted as a difference that nobody knew of: it is 'asked'. Changes nothing.
SELECT r.omisell_order_number, r.order_number, r.updated_time, k.status_id AS known_status_id, r.status_id,
    CASE WHEN f.priority < 2 OR (f.priority = 2 AND (k.order_number IS NULL OR v.verdict = 'behind'))
            OR EXISTS (SELECT FROM omisync.inbox AS i WHERE i.omisell_order_number = r.omisell_order_number AND i.state = 'new')
         THEN 'asked'
         WHEN k.order_number IS NULL THEN 'missing'
         WHEN v.verdict = 'behind' THEN 'detail'
         WHEN k.status_id IS DISTINCT FROM r.status_id THEN 'status' ELSE 'stale' END AS difference
FROM unnest(:omisell_order_numbers::text[], :order_numbers::text[], :status_ids::bigint[], :updated_times::bigint[])
    AS r (omisell_order_number, order_number, status_id, updated_time)
LEFT JOIN omisync.orders AS k USING (omisell_order_number)
LEFT JOIN omisync.refreshes AS f USING (omisell_order_number)
CROSS JOIN LATERAL omisync.listed_verdict(k.status_id, k.omisell_updated_at, k.detail IS NOT NULL, k.detail_updated_at,
                                          r.status_id, to_timestamp(r.updated_time)) AS v (verdict)
WHERE (k.order_number IS NULL OR v.verdict <> 'same')
  AND NOT EXISTS (SELECT FROM omisync.other_shops_orders AS s WHERE s.omisell_order_number = r.omisell_order_number)
  AND NOT EXISTS (SELECT FROM omisync.findings AS n WHERE n.kind = 'second_at_omisell'
                  AND n.order_number = r.order_number AND n.subject = r.omisell_order_number);

-- name: take_listed(omisell_order_numbers, order_numbers, status_ids, status_names, finals, updated_times, firsts, read_at, source, adopting, owed_delay)
-- Brings the status of orders up to date from rows of Omisell's list, and asks for their details: at once where the
-- list leaves open what is so (and, with adopting, for orders we do not know), else as urgently as firsts says (a detail that brings
-- what a list lacks) or as owed. A push that waits for a fetch and tells no more than the list did waits for an owed
-- detail from now on. Answers as differing does, with the events written.
WITH r AS (
    SELECT * FROM unnest(
        :omisell_order_numbers::text[], :order_numbers::text[], :status_ids::bigint[], :status_names::text[],
        :finals::boolean[], :updated_times::bigint[], :firsts::boolean[])
    AS r (omisell_order_number, order_number, status_id, status_name, is_final, updated_time, is_first)
), asked AS (
    SELECT f.* FROM omisync.refreshes AS f JOIN r USING (omisell_order_number)
    ORDER BY f.omisell_order_number FOR UPDATE OF f
), old AS (
    SELECT k.* FROM omisync.orders AS k JOIN r USING (omisell_order_number) WHERE (SELECT count(*) FROM asked) >= 0
    ORDER BY k.order_number FOR UPDATE OF k
), judged AS (
    SELECT r.*, k.order_number AS known_number, k.status_id AS old_status_id, f.priority,
        CASE WHEN f.priority < 2 THEN f.source ELSE :source::text END AS source,
        CASE WHEN k.order_number IS NULL THEN 'missing'
             ELSE omisync.listed_verdict(k.status_id, k.omisell_updated_at, k.detail IS NOT NULL, k.detail_updated_at,
                                         r.status_id, to_timestamp(r.updated_time)) END AS verdict
    FROM r LEFT JOIN old AS k USING (omisell_order_number) LEFT JOIN asked AS f USING (omisell_order_number)
    WHERE NOT EXISTS (SELECT FROM omisync.other_shops_orders AS s WHERE s.omisell_order_number = r.omisell_order_number)
      AND NOT EXISTS (SELECT FROM omisync.findings AS n WHERE n.kind = 'second_at_omisell'
                      AND n.order_number = r.order_number AND n.subject = r.omisell_order_number)
), moved AS (
    UPDATE omisync.orders AS k
    SET status_id = j.status_id,
        status_name = coalesce(j.status_name, k.status_name),
        is_final = j.is_final,
        omisell_updated_at = to_timestamp(j.updated_time),
        status_seen_at = :read_at::timestamptz
    FROM judged AS j
    WHERE j.verdict = 'newer' AND k.order_number = j.known_number
), told AS (
    INSERT INTO omisync.order_events (order_number, omisell_order_number, kind, old_status_id, new_status_id, source, occurred_at)
    SELECT j.known_number, j.omisell_order_number, 'status', j.old_status_id, j.status_id,
           j.source, to_timestamp(j.updated_time)
    FROM judged AS j
    WHERE j.verdict = 'newer' AND j.old_status_id IS DISTINCT FROM j.status_id
    ORDER BY j.known_number
    RETURNING id, omisell_order_number
), owing AS (
    INSERT INTO omisync.refreshes AS f (omisell_order_number, order_number, source, priority, wanted_at, available_at)
    SELECT j.omisell_order_number, coalesce(j.known_number, j.order_number), :source::text, p.priority,
           to_timestamp(j.updated_time),
           now() + make_interval(secs => CASE WHEN p.priority = 2 THEN :owed_delay::float8 ELSE 0 END)
    FROM judged AS j
    CROSS JOIN LATERAL (SELECT CASE WHEN j.verdict IN ('missing', 'unsure') OR j.is_first THEN 1 ELSE 2 END) AS p (priority)
    WHERE CASE j.verdict WHEN 'missing' THEN :adopting::boolean OR j.priority IS NOT NULL ELSE j.verdict <> 'same' END
    ORDER BY j.omisell_order_number
    ON CONFLICT (omisell_order_number) DO UPDATE SET
        priority = CASE WHEN excluded.priority = 2 AND f.wanted_at <= excluded.wanted_at AND f.source <> 'operator' THEN 2
                        ELSE least(f.priority, excluded.priority) END,
        wanted_at = greatest(f.wanted_at, excluded.wanted_at),
        -- only news moves it: a fetch under way for what was known already is as good
        generation = f.generation + CASE WHEN excluded.wanted_at > coalesce(f.wanted_at, '-infinity') THEN 1 ELSE 0 END,
        attempts = CASE WHEN excluded.wanted_at > f.wanted_at THEN 0 ELSE f.attempts END,
        requested_at = CASE WHEN excluded.priority < 2 AND f.priority = 2 THEN now() ELSE f.requested_at END,
        available_at = CASE WHEN excluded.priority < 2 AND f.priority = 2 THEN least(f.available_at, now())
                            WHEN excluded.priority = 2 AND f.priority < 2 AND f.wanted_at <= excluded.wanted_at
                                AND f.source <> 'operator' THEN greatest(f.available_at, excluded.available_at)
                            ELSE f.available_at END
)
SELECT j.omisell_order_number, coalesce(j.known_number, j.order_number) AS order_number, j.updated_time,
    j.old_status_id AS known_status_id, j.status_id, t.id AS event_id,
    CASE WHEN j.priority < 2 OR (j.priority = 2 AND j.verdict IN ('missing', 'behind'))
            OR EXISTS (SELECT FROM omisync.inbox AS i WHERE i.omisell_order_number = j.omisell_order_number AND i.state = 'new')
         THEN 'asked'
         WHEN j.verdict = 'missing' THEN 'missing'
         WHEN j.verdict = 'behind' THEN 'detail'
         WHEN j.old_status_id IS DISTINCT FROM j.status_id THEN 'status' ELSE 'stale' END AS difference
FROM judged AS j LEFT JOIN told AS t USING (omisell_order_number)
WHERE j.verdict <> 'same';

-- name: open_windows(width)
-- plan: by values
-- When (Omisell's clock, Unix seconds) the orders that may still move last did, in windows of width seconds, the latest
-- first, with how many orders each.
SELECT w.begin, count(*) AS orders
FROM omisync.orders AS k
CROSS JOIN LATERAL (SELECT (floor(extract(epoch FROM k.omisell_updated_at) / :width::bigint) * :width::bigint)::bigint) AS w (begin)
WHERE NOT k.is_final AND k.omisell_order_number IS NOT NULL AND k.omisell_updated_at IS NOT NULL
GROUP BY w.begin ORDER BY w.begin DESC;

-- name: open_after(after, most)
-- plan: by values
-- The orders that may still move, in the order of their numbers, a page at a time.
SELECT order_number, omisell_order_number FROM omisync.orders
WHERE NOT is_final AND omisell_order_number IS NOT NULL AND order_number > :after::text
ORDER BY order_number LIMIT :most;

-- name: owe(most)
-- plan: by values
-- Asks for the details that are behind what is known, where no fetch waits: those that were given up, for example.
INSERT INTO omisync.refreshes AS f (omisell_order_number, order_number, source, priority, wanted_at)
SELECT k.omisell_order_number, k.order_number, 'sweep', 2, k.omisell_updated_at FROM omisync.orders AS k
WHERE k.omisell_order_number IS NOT NULL AND (k.detail IS NULL OR k.detail_updated_at < k.omisell_updated_at)
  AND NOT EXISTS (SELECT FROM omisync.refreshes AS e WHERE e.omisell_order_number = k.omisell_order_number)
ORDER BY k.omisell_order_number LIMIT :most
ON CONFLICT (omisell_order_number) DO NOTHING
RETURNING f.omisell_order_number;

-- name: numbers(numbers)
-- Omisell's numbers of orders named by either number.
SELECT order_number, omisell_order_number FROM omisync.orders
WHERE omisell_order_number IS NOT NULL AND (order_number = ANY(:numbers::text[]) OR omisell_order_number = ANY(:numbers::text[]));
