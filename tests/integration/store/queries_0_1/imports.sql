-- The import of orders that were at Omisell before us. Whoever came last is its holder; an earlier process finds that it
-- may not write any more.

-- name: unfinished()
-- The import that has not come to its end, if there is one.
SELECT * FROM omisync.imports WHERE finished_at IS NULL;

-- name: lock()
-- One at a time begins an import, or takes one over.
SELECT pg_advisory_xact_lock(hashtextextended(current_database() || 'omisync.imports', 0)) IS NOT NULL;

-- name: take_over(id, holder, page_size)
UPDATE omisync.imports SET holder = :holder::uuid, page_size = :page_size,
    next_page = CASE WHEN page_size = :page_size THEN next_page ELSE 1 END
WHERE id = :id AND finished_at IS NULL RETURNING *;

-- name: abandon()
UPDATE omisync.imports SET finished_at = now(), abandoned = true WHERE finished_at IS NULL RETURNING id;

-- name: clear()
WITH gone AS (DELETE FROM omisync.import_orders RETURNING 1) SELECT count(*) FROM gone;

-- name: begin(since_seconds, window_from, holder, page_size)
INSERT INTO omisync.imports (since_seconds, window_from, holder, page_size)
VALUES (:since_seconds, :window_from, :holder, :page_size) RETURNING *;

-- name: take_page(id, holder, omisell_order_numbers, order_numbers, updated_times, status_ids, others, counted, unread, ended)
-- A page of the list, and that it was read: both or neither. No row comes back to who is not the holder any more.
WITH held AS (
    SELECT id FROM omisync.imports WHERE id = :id AND holder = :holder::uuid AND finished_at IS NULL FOR UPDATE
), put AS (
    INSERT INTO omisync.import_orders AS m (omisell_order_number, order_number, updated_time, status_id, state)
    SELECT DISTINCT ON (r.omisell_order_number) r.omisell_order_number, r.order_number, r.updated_time, r.status_id,
        CASE WHEN r.is_other OR EXISTS (
                SELECT FROM omisync.other_shops_orders AS s WHERE s.omisell_order_number = r.omisell_order_number)
            THEN 'other' ELSE 'listed' END
    FROM unnest(:omisell_order_numbers::text[], :order_numbers::text[], :updated_times::bigint[], :status_ids::bigint[], :others::boolean[])
        AS r (omisell_order_number, order_number, updated_time, status_id, is_other), held
    ORDER BY r.omisell_order_number, r.updated_time DESC NULLS LAST
    ON CONFLICT (omisell_order_number) DO NOTHING
    RETURNING m.state
)
UPDATE omisync.imports AS i SET
    pages = i.pages + 1,
    counted = :counted,
    unread = i.unread + CASE WHEN i.pass = 1 THEN :unread::integer ELSE 0 END,
    seen = i.seen + (SELECT count(*) FROM put),
    others = i.others + (SELECT count(*) FROM put WHERE state = 'other'),
    next_page = CASE WHEN :ended::boolean THEN 1 ELSE i.next_page + 1 END,
    pass = i.pass + CASE WHEN :ended::boolean THEN 1 ELSE 0 END,
    pass_seen = CASE WHEN :ended::boolean THEN i.seen + (SELECT count(*) FROM put) ELSE i.pass_seen END,
    quiet = :ended::boolean AND i.seen + (SELECT count(*) FROM put) = i.pass_seen
FROM held WHERE i.id = held.id
RETURNING i.*;

-- name: listed(id, holder)
-- The list has been read to its end.
UPDATE omisync.imports SET listed_at = now() WHERE id = :id AND holder = :holder::uuid AND finished_at IS NULL RETURNING *;

-- name: again(id, holder)
-- The list would not hold still; the next process reads it from its beginning, and keeps what was seen.
UPDATE omisync.imports SET pass = 1, next_page = 1 WHERE id = :id AND holder = :holder::uuid RETURNING *;

-- name: ask(id, holder, most)
-- Has the details of so many more orders fetched, the latest changed first, at the priority of what can wait; those that
-- are up to date need none.
WITH held AS (
    SELECT id FROM omisync.imports WHERE id = :id AND holder = :holder::uuid AND finished_at IS NULL FOR UPDATE
), chosen AS (
    SELECT m.* FROM omisync.import_orders AS m, held
    WHERE m.state = 'listed' ORDER BY m.updated_time DESC LIMIT :most FOR UPDATE OF m
), judged AS (
    SELECT c.omisell_order_number, coalesce(k.order_number, c.order_number) AS order_number, c.updated_time,
        k.order_number IS NOT NULL AND omisync.listed_verdict(k.status_id, k.omisell_updated_at, k.detail IS NOT NULL,
            k.detail_updated_at, c.status_id, to_timestamp(c.updated_time)) = 'same' AS is_known
    FROM chosen AS c LEFT JOIN omisync.orders AS k USING (omisell_order_number)
), asked AS (
    INSERT INTO omisync.refreshes (omisell_order_number, order_number, source, priority, wanted_at)
    SELECT j.omisell_order_number, nullif(j.order_number, ''), 'sweep', 2, to_timestamp(j.updated_time) FROM judged AS j
    WHERE NOT j.is_known ORDER BY j.omisell_order_number
    ON CONFLICT (omisell_order_number) DO NOTHING
), moved AS (
    UPDATE omisync.import_orders AS m SET state = CASE WHEN j.is_known THEN 'known' ELSE 'asked' END
    FROM judged AS j WHERE m.omisell_order_number = j.omisell_order_number
    RETURNING m.state
)
UPDATE omisync.imports AS i SET known = i.known + (SELECT count(*) FROM moved WHERE state = 'known')
FROM held WHERE i.id = held.id
RETURNING i.*;

-- name: settle(id, holder)
-- What has become of the fetches that were asked for, and how many are still wanted.
WITH held AS (
    SELECT id FROM omisync.imports WHERE id = :id AND holder = :holder::uuid AND finished_at IS NULL FOR UPDATE
), over AS (
    UPDATE omisync.import_orders AS m SET state = CASE
        WHEN EXISTS (SELECT FROM omisync.orders AS k
                     WHERE k.omisell_order_number = m.omisell_order_number AND k.detail IS NOT NULL) THEN 'fetched'
        WHEN EXISTS (SELECT FROM omisync.other_shops_orders AS s
                     WHERE s.omisell_order_number = m.omisell_order_number) THEN 'other'
        ELSE 'lost' END
    FROM held
    WHERE m.state = 'asked'
      AND NOT EXISTS (SELECT FROM omisync.refreshes AS f WHERE f.omisell_order_number = m.omisell_order_number)
    RETURNING m.state
)
UPDATE omisync.imports AS i SET
    fetched = i.fetched + (SELECT count(*) FROM over WHERE state = 'fetched'),
    others = i.others + (SELECT count(*) FROM over WHERE state = 'other'),
    lost = i.lost + (SELECT count(*) FROM over WHERE state = 'lost')
FROM held WHERE i.id = held.id
RETURNING i.*;

-- name: asked()
-- How many of the orders asked for have not been fetched.
SELECT count(*) FROM omisync.import_orders WHERE state = 'asked';

-- name: finish(id, holder)
UPDATE omisync.imports SET finished_at = now() WHERE id = :id AND holder = :holder::uuid AND finished_at IS NULL RETURNING *;

-- name: lost_orders(most)
-- Orders that the list shows and that are not to be had, with the number under which the shop knows them.
SELECT omisell_order_number, order_number FROM omisync.import_orders WHERE state = 'lost'
ORDER BY omisell_order_number LIMIT :most;

-- name: live_waits()
-- Whether daemons that live have something due that is more urgent than an import.
SELECT EXISTS (SELECT FROM omisync.replicas WHERE seen_at > now() - interval '15 seconds') AND coalesce(least(
        (SELECT min(available_at) FROM omisync.outbox WHERE state = 'pending' AND kind = 'order.add'
            AND NOT EXISTS (SELECT FROM omisync.pauses WHERE kind = 'order.add')),
        (SELECT min(available_at) FROM omisync.outbox WHERE state = 'pending' AND kind = 'order.cancel'
            AND NOT EXISTS (SELECT FROM omisync.pauses WHERE kind = 'order.cancel')),
        (SELECT min(available_at) FROM omisync.refreshes WHERE lease_token IS NULL AND priority = 0),
        (SELECT min(available_at) FROM omisync.refreshes WHERE lease_token IS NULL AND priority = 1)
    ) <= now(), false);

-- name: up_to_date(window_from)
-- plan: by values
-- Orders changed since then of which nothing is left to fetch.
SELECT count(*) FROM omisync.orders
WHERE omisell_updated_at >= to_timestamp(:window_from::bigint) AND detail IS NOT NULL AND detail_updated_at >= omisell_updated_at;
