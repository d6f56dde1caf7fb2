-- What the operator's page tells of the past; looked at sparingly.

-- name: orders_by_the_hour(hours)
-- plan: by values
-- Orders that went out, and rows that failed, in each of the last hours by the clock; the first hour is the oldest.
SELECT h.hour, count(e.id) FILTER (WHERE e.kind <> 'failed') AS sent, count(e.id) FILTER (WHERE e.kind = 'failed') AS failed
FROM generate_series(date_trunc('hour', now(), 'UTC') - make_interval(hours => :hours::integer - 1), now(), interval '1 hour') AS h (hour)
LEFT JOIN (
    SELECT id, kind, date_trunc('hour', recorded_at, 'UTC') AS hour FROM omisync.order_events
    WHERE recorded_at >= date_trunc('hour', now(), 'UTC') - make_interval(hours => :hours::integer - 1)
      AND kind IN ('added', 'adopted', 'failed')) AS e ON e.hour = h.hour
GROUP BY h.hour ORDER BY h.hour;

-- name: pushes_by_the_hour(hours)
-- plan: by values
SELECT date_trunc('hour', received_at, 'UTC') AS hour, count(*) AS pushes FROM omisync.inbox
WHERE received_at >= date_trunc('hour', now(), 'UTC') - make_interval(hours => :hours::integer - 1)
GROUP BY 1;

-- name: repairs(hours, most)
-- plan: by values
-- What sweeps made good lately: changes of orders that no push had told of. The newest first.
SELECT order_number, kind, old_status_id, new_status_id, occurred_at, recorded_at FROM omisync.order_events
WHERE source = 'sweep' AND recorded_at >= now() - make_interval(hours => :hours::integer)
ORDER BY recorded_at DESC, id DESC LIMIT :most;

-- name: pushes(most)
SELECT event, order_number, omisell_order_number, status_id, authorization_form, state, received_at
FROM omisync.inbox ORDER BY id DESC LIMIT :most;

-- name: by_hand(most)
SELECT at, who, action, subject FROM omisync.audit ORDER BY id DESC LIMIT :most;

-- name: by_hand_on(subjects, order_number)
-- What was done by hand to rows of the outbox, and to an order itself.
SELECT at, who, action, subject FROM omisync.audit
WHERE (action IN ('retry', 'discard') AND subject = ANY(:subjects::text[]))
   OR (action IN ('forget', 'refresh') AND subject = :order_number::text) ORDER BY id;

-- name: tables(schema, most)
-- What each table takes on disk with its indexes, the largest first; rows as the last ANALYZE or VACUUM counted them, and
-- before the first one as the statistics have it.
SELECT c.relname::text AS name, pg_total_relation_size(c.oid) AS bytes,
    CASE WHEN c.reltuples < 0 THEN coalesce(s.n_live_tup, 0) ELSE c.reltuples END::bigint AS rows, coalesce(s.n_dead_tup, 0) AS dead,
    s.last_autovacuum AS autovacuumed_at, s.last_vacuum AS vacuumed_at
FROM pg_catalog.pg_class AS c LEFT JOIN pg_catalog.pg_stat_all_tables AS s ON s.relid = c.oid
WHERE c.relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = :schema::text) AND c.relkind IN ('r', 'p')
ORDER BY bytes DESC, name LIMIT :most;

-- name: purge(keep_seconds, most)
-- Removes old events, but for those whose hook call still waits. The order's row stays, so each is known still. The oldest
-- have the lowest ids: reading from that end, nothing but what goes is looked at, however long the history.
DELETE FROM omisync.order_events WHERE id IN (
    SELECT e.id FROM (
        SELECT id, recorded_at FROM omisync.order_events
        ORDER BY id LIMIT :most::bigint + (SELECT count(*) FROM omisync.hook_calls)) AS e
    WHERE e.recorded_at < now() - make_interval(secs => :keep_seconds::float8)
      AND NOT EXISTS (SELECT FROM omisync.hook_calls AS h WHERE h.event_id = e.id)
    ORDER BY e.id LIMIT :most::bigint)
RETURNING id;
