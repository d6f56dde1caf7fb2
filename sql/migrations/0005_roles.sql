-- Roles are the whole server's, not this database's: another schema's migration may have made them already.

DO $$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['omisync_app', 'omisync_operator', 'omisync_daemon'] LOOP
        IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = wanted) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
            EXCEPTION
                -- two migrations of one server at the same moment
                WHEN duplicate_object OR unique_violation THEN NULL;
            END;
        END IF;
    END LOOP;
END
$$;

GRANT USAGE ON SCHEMA omisync TO omisync_app, omisync_operator, omisync_daemon;

-- The shop: enqueue and read. The columns it may write are named, so that no row can be born half sent.
GRANT INSERT (kind, order_number, payload) ON omisync.outbox TO omisync_app;
GRANT SELECT ON omisync.outbox, omisync.orders, omisync.parcels, omisync.order_events TO omisync_app;
GRANT EXECUTE ON FUNCTION omisync.add_order(jsonb), omisync.cancel_order(text, text) TO omisync_app;

-- The operator: all of that, see what waits, retry, discard, pause.
GRANT omisync_app TO omisync_operator;
GRANT SELECT ON omisync.migrations, omisync.hook_calls, omisync.refreshes, omisync.leases, omisync.replicas, omisync.pauses, omisync.sweeps,
    omisync.findings, omisync.audit TO omisync_operator;
GRANT SELECT (id, event, category, request_id, order_number, omisell_order_number, status_id, updated_time, shop_id,
    authorization_form, state, received_at, handled_at) ON omisync.inbox TO omisync_operator;
GRANT SELECT (single, expired_time, obtained_at) ON omisync.tokens TO omisync_operator;
GRANT UPDATE (state, outcome, attempts, available_at, error, finished_at, maybe_sent_at, settle_at) ON omisync.outbox TO omisync_operator;
GRANT INSERT, UPDATE, DELETE ON omisync.pauses, omisync.refreshes TO omisync_operator;
GRANT INSERT ON omisync.audit, omisync.order_events TO omisync_operator;

-- The daemon: its tables, and nothing outside this schema but what hooks.on_change needs.
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA omisync TO omisync_daemon;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA omisync TO omisync_daemon;
