-- What there is to do at all, in one look: an idle daemon asks nothing else.

-- name: anything(since)
-- Each min is read from its index's beginning, whatever the statistics say of the archive. A cancel that only waits counts
-- as well: `annul` looks at it. With :since, Unix seconds, only of adds that are due from then on, and nothing that was
-- left behind by a dead worker.
SELECT
    NOT EXISTS (SELECT FROM omisync.pauses WHERE kind = 'order.add')
        AND (coalesce((SELECT min(available_at) FROM omisync.outbox WHERE state = 'pending' AND kind = 'order.add'
                       AND available_at >= coalesce(to_timestamp(:since::float8), '-infinity')) <= now(), false)
             OR :since::float8 IS NULL
                AND EXISTS (SELECT FROM omisync.outbox WHERE state = 'sending' AND kind = 'order.add' AND lease_until < now())) AS adds,
    (SELECT min(available_at) FROM omisync.outbox WHERE state = 'pending' AND kind = 'order.cancel') IS NOT NULL
        OR :since::float8 IS NULL
           AND EXISTS (SELECT FROM omisync.outbox WHERE state = 'sending' AND kind = 'order.cancel' AND lease_until < now()) AS cancels,
    (SELECT min(id) FROM omisync.inbox WHERE state = 'new') IS NOT NULL AS pushes,
    coalesce(least((SELECT min(available_at) FROM omisync.refreshes WHERE lease_token IS NULL AND priority = 0),
                   (SELECT min(available_at) FROM omisync.refreshes WHERE lease_token IS NULL AND priority = 1)) <= now(), false)
        OR EXISTS (SELECT FROM omisync.refreshes WHERE lease_token IS NOT NULL AND lease_until < now()) AS wanted,
    coalesce((SELECT min(available_at) FROM omisync.refreshes WHERE lease_token IS NULL AND priority = 2) <= now(), false) AS owed,
    coalesce((SELECT min(available_at) FROM omisync.hook_calls) <= now(), false) AS hooks,
    (SELECT min(id) FROM omisync.inbox
     WHERE noticed_at IS NULL AND state IN ('done', 'known', 'unhandled')
       AND (category = 'return' OR event IN ('order.returned', 'order.return_receive', 'order.reconciled'))) IS NOT NULL AS notices;
