-- Pushes that tell what no detail does: an order returned, received back, reconciled; what a return push holds.

-- name: untold(most)
-- Those that are not told yet and whose order has been brought up to date with them, oldest first; or
-- was not to be fetched, which takes nothing from what the push tells.
SELECT i.id, i.event, i.category, i.status_id, i.updated_time, i.received_at, i.body, k.order_number
FROM omisync.inbox AS i LEFT JOIN omisync.orders AS k USING (omisell_order_number)
WHERE i.noticed_at IS NULL AND i.state IN ('done', 'known', 'unhandled')
  AND (i.category = 'return' OR i.event IN ('order.returned', 'order.return_receive', 'order.reconciled'))
ORDER BY i.id LIMIT :most;

-- name: tell(ids, order_numbers, kinds, occurred_ats, event_data, events, status_ids, status_names, return_data)
-- Writes their events, and what is known of the return. Each push is told once, whoever is first; a change that a push
-- has told is not told again by another push about it. The event's status is the order's, as it is known now: a push
-- that comes late must not set back whoever follows it.
WITH r AS (
    SELECT * FROM unnest(
        :ids::bigint[], :order_numbers::text[], :kinds::text[], :occurred_ats::timestamptz[], :event_data::text[],
        :events::text[], :status_ids::bigint[], :status_names::text[], :return_data::text[])
    AS r (id, order_number, kind, occurred_at, event_data, event, status_id, status_name, return_data)
), known AS (
    SELECT k.order_number, k.omisell_order_number, k.status_id, k.forgotten_at IS NOT NULL AS is_forgotten
    FROM omisync.orders AS k WHERE k.order_number = ANY(:order_numbers::text[])
    ORDER BY k.order_number FOR NO KEY UPDATE OF k
), marked AS (
    UPDATE omisync.inbox AS i SET noticed_at = now() FROM r
    WHERE i.id = r.id AND i.noticed_at IS NULL AND (SELECT count(*) FROM known) >= 0
    RETURNING i.id
), fresh AS (
    SELECT r.*, k.omisell_order_number, k.status_id AS order_status_id, k.is_forgotten
    FROM r JOIN marked USING (id) JOIN known AS k USING (order_number)
), told AS (
    INSERT INTO omisync.order_events (order_number, omisell_order_number, kind, old_status_id, new_status_id, source, data, occurred_at)
    SELECT f.order_number, f.omisell_order_number, f.kind, f.order_status_id, f.order_status_id, 'webhook',
           CASE WHEN f.is_forgotten THEN omisync.without_personal_data(f.event_data::jsonb) ELSE f.event_data::jsonb END, f.occurred_at
    FROM fresh AS f
    WHERE f.kind = 'return' OR NOT (
        EXISTS (SELECT FROM omisync.order_events AS e
                WHERE e.order_number = f.order_number AND e.kind = f.kind AND e.occurred_at = f.occurred_at)
        OR EXISTS (SELECT FROM fresh AS b WHERE b.order_number = f.order_number AND b.kind = f.kind
                   AND b.occurred_at = f.occurred_at AND b.id < f.id))
    ORDER BY f.id
    RETURNING id
), kept AS (
    INSERT INTO omisync.returns AS n (order_number, returned_at, received_at, event, status_id, status_name, updated_at, data)
    SELECT f.order_number,
        max(f.occurred_at) FILTER (WHERE f.kind = 'returned'), max(f.occurred_at) FILTER (WHERE f.kind = 'return_receive'),
        (array_agg(f.event ORDER BY f.occurred_at DESC, f.id DESC) FILTER (WHERE f.kind = 'return'))[1],
        (array_agg(f.status_id ORDER BY f.occurred_at DESC, f.id DESC) FILTER (WHERE f.kind = 'return'))[1],
        (array_agg(f.status_name ORDER BY f.occurred_at DESC, f.id DESC) FILTER (WHERE f.kind = 'return'))[1],
        max(f.occurred_at) FILTER (WHERE f.kind = 'return'),
        coalesce((array_agg(CASE WHEN f.is_forgotten THEN omisync.without_personal_data(f.return_data::jsonb) ELSE f.return_data::jsonb END
                            ORDER BY f.occurred_at DESC, f.id DESC) FILTER (WHERE f.kind = 'return'))[1], '{}')
    FROM fresh AS f WHERE f.kind <> 'reconciled' GROUP BY f.order_number ORDER BY f.order_number
    ON CONFLICT (order_number) DO UPDATE SET
        returned_at = greatest(n.returned_at, excluded.returned_at),
        received_at = greatest(n.received_at, excluded.received_at),
        event = CASE WHEN excluded.updated_at >= coalesce(n.updated_at, '-infinity') THEN excluded.event ELSE n.event END,
        status_id = CASE WHEN excluded.updated_at >= coalesce(n.updated_at, '-infinity') THEN excluded.status_id ELSE n.status_id END,
        status_name = CASE WHEN excluded.updated_at >= coalesce(n.updated_at, '-infinity') THEN excluded.status_name ELSE n.status_name END,
        data = CASE WHEN excluded.updated_at >= coalesce(n.updated_at, '-infinity') THEN excluded.data ELSE n.data END,
        updated_at = greatest(n.updated_at, excluded.updated_at)
)
SELECT m.id AS marked_id, NULL::bigint AS event_id FROM marked AS m
UNION ALL SELECT NULL, t.id FROM told AS t;
