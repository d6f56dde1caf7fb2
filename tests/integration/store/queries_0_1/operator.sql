-- What an operator sees and mends.

-- name: depths()
-- plan: by values
-- Rows of the hot states; the archive is not counted, it may be large.
SELECT
    (SELECT count(*) FROM omisync.outbox WHERE state = 'pending') AS pending,
    (SELECT count(*) FROM omisync.outbox WHERE state = 'sending') AS sending,
    (SELECT count(*) FROM omisync.outbox WHERE state = 'failed') AS failed,
    (SELECT count(*) FROM omisync.outbox WHERE state = 'pending' AND kind = 'order.add') AS pending_adds,
    (SELECT count(*) FROM omisync.outbox WHERE state = 'pending' AND kind = 'order.cancel') AS pending_cancels,
    (SELECT count(*) FROM omisync.refreshes WHERE priority < 2) AS refreshes_urgent,
    (SELECT count(*) FROM omisync.refreshes WHERE priority = 2) AS refreshes_owed,
    (SELECT extract(epoch FROM now() - min(created_at))::float8 FROM omisync.outbox WHERE state IN ('pending', 'sending')) AS oldest_pending_seconds,
    (SELECT count(*) FROM omisync.refreshes) AS refresh_pending,
    (SELECT extract(epoch FROM now() - min(requested_at))::float8 FROM omisync.refreshes WHERE priority < 2) AS refresh_lag_seconds,
    (SELECT count(*) FROM omisync.inbox WHERE state = 'new') AS inbox_new,
    (SELECT count(*) FROM omisync.inbox WHERE state = 'waiting') AS inbox_waiting,
    (SELECT count(*) FROM omisync.hook_calls) AS hooks_waiting,
    (SELECT extract(epoch FROM to_timestamp(expired_time) - now())::float8 FROM omisync.tokens) AS token_expires_seconds,
    (SELECT EXISTS (SELECT FROM omisync.tokens)) AS token_held,
    (SELECT omisync.pushes_silent_since()) AS pushes_silent_since,
    (SELECT received_at FROM omisync.inbox ORDER BY id DESC LIMIT 1) AS last_push_at,
    (SELECT finished_at FROM omisync.sweeps WHERE finished_at IS NOT NULL AND error IS NULL ORDER BY id DESC LIMIT 1) AS last_sweep_at,
    (SELECT name FROM omisync.migrations ORDER BY version DESC LIMIT 1) AS schema_version;

-- name: replicas()
SELECT r.id, r.name, r.version, r.started_at, r.seen_at, r.state::text AS state,
    EXISTS (SELECT FROM omisync.leases AS l WHERE l.name = 'leader' AND l.holder = r.id AND l.until > now()) AS leads
FROM omisync.replicas AS r WHERE r.seen_at > now() - interval '1 minute' ORDER BY r.started_at;

-- name: pauses()
SELECT kind, reason, paused_by, paused_at FROM omisync.pauses ORDER BY kind;

-- name: sweeps(most)
SELECT kind, started_at, finished_at, seen, repaired, error FROM omisync.sweeps ORDER BY id DESC LIMIT :most;

-- name: webhook_forms()
-- By which form the recent pushes proved themselves.
SELECT authorization_form, count(*) AS pushes FROM (
    SELECT authorization_form FROM omisync.inbox ORDER BY id DESC LIMIT 1000) AS recent
GROUP BY authorization_form ORDER BY pushes DESC;

-- name: findings(most)
SELECT kind, order_number, subject, data::text AS data, found_at FROM omisync.findings ORDER BY id DESC LIMIT :most;

-- name: outbox_list(state, order_number, most)
-- plan: by values
SELECT id, kind, order_number, state, outcome, attempts, available_at, error, created_at, finished_at, NULL::text AS payload
FROM omisync.outbox
WHERE (:state::text IS NULL OR state = :state::text) AND (:order_number::text IS NULL OR order_number = :order_number::text)
ORDER BY id DESC LIMIT :most;

-- name: outbox_show(id)
SELECT id, kind, order_number, state, outcome, attempts, available_at, error, created_at, finished_at, payload::text AS payload
FROM omisync.outbox WHERE id = :id;

-- name: chosen(ids, all_failed)
-- The rows a retry or a discard is about, locked.
SELECT o.id, o.kind, o.order_number, o.state,
    EXISTS (SELECT FROM omisync.outbox AS n
            WHERE n.order_number = o.order_number AND n.kind = o.kind AND n.id <> o.id
              AND (n.state IN ('pending', 'sending') OR (n.state = 'done' AND n.kind = 'order.add')
                   OR (n.state = 'failed' AND n.id > o.id))) AS superseded
FROM omisync.outbox AS o
WHERE o.id = ANY(:ids::bigint[]) OR (:all_failed::boolean AND o.state = 'failed')
ORDER BY o.id FOR UPDATE OF o;

-- name: retry(ids)
-- plan: by values
-- An add is looked for before it is sent: what was believed absent may have come to light since it failed.
UPDATE omisync.outbox SET state = 'pending', attempts = 0, available_at = now(), finished_at = NULL,
    maybe_sent_at = CASE WHEN kind = 'order.add' THEN created_at ELSE maybe_sent_at END,
    settle_at = CASE WHEN kind = 'order.add' THEN finished_at ELSE settle_at END
WHERE id = ANY(:ids::bigint[]) AND state = 'failed' RETURNING id;

-- name: discard(ids)
UPDATE omisync.outbox SET state = 'discarded', finished_at = now()
WHERE id = ANY(:ids::bigint[]) AND state IN ('failed', 'pending') RETURNING id;

-- name: note(who, action, subject, data)
-- Every change by hand is written down.
INSERT INTO omisync.audit (who, action, subject, data) VALUES (:who, :action, :subject, :data::text::jsonb) RETURNING id;

-- name: notes(who, action, subjects)
-- The same for many at once.
INSERT INTO omisync.audit (who, action, subject) SELECT :who, :action, s.subject
FROM unnest(:subjects::text[]) WITH ORDINALITY AS s (subject, place) ORDER BY s.place RETURNING id;

-- name: pause(kind, reason, who)
INSERT INTO omisync.pauses (kind, reason, paused_by) VALUES (:kind, :reason, :who)
ON CONFLICT (kind) DO UPDATE SET reason = excluded.reason, paused_by = excluded.paused_by, paused_at = now()
RETURNING kind;

-- name: resume(kind)
DELETE FROM omisync.pauses WHERE :kind::text IS NULL OR kind = :kind::text RETURNING kind;

-- name: orders_list(status_id, open_only, most)
-- plan: by values
SELECT order_number, omisell_order_number, status_id, status_name, is_final, omisell_updated_at, synced_at, tracking_numbers, forgotten_at
FROM omisync.orders
WHERE (:status_id::bigint IS NULL OR status_id = :status_id::bigint) AND (NOT :open_only::boolean OR NOT is_final)
ORDER BY omisell_updated_at DESC NULLS FIRST LIMIT :most;

-- name: order(number)
SELECT order_number, omisell_order_number, status_id, status_name, is_final, omisell_updated_at, synced_at, tracking_numbers, forgotten_at
FROM omisync.orders WHERE order_number = :number::text OR omisell_order_number = :number::text;

-- name: parcels(order_number)
SELECT package_number, courier_name, courier_tracking_number, shipment_status, shipment_status_name, pickup_id
FROM omisync.parcels WHERE order_number = :order_number ORDER BY package_number;

-- name: returned(order_number)
SELECT returned_at, received_at, event, status_id, status_name, updated_at, data::text AS data
FROM omisync.returns WHERE order_number = :order_number;

-- name: events(order_number)
SELECT id, kind, old_status_id, new_status_id, source, data::text AS data, occurred_at, recorded_at
FROM omisync.order_events WHERE order_number = :order_number ORDER BY id;

-- name: pushes(omisell_order_number)
SELECT id, event, request_id, status_id, updated_time, authorization_form, state, received_at, handled_at
FROM omisync.inbox WHERE omisell_order_number = :omisell_order_number ORDER BY id DESC LIMIT 200;
