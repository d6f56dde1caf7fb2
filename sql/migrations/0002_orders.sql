-- What Omisell knows of the shop's orders, for the shop to read.

CREATE TABLE omisync.orders (
    order_number         text PRIMARY KEY,
    omisell_order_number text UNIQUE,
    shop_id              bigint,
    status_id            bigint,
    status_name          text,
    is_final             boolean NOT NULL DEFAULT false,
    omisell_created_at   timestamptz,
    omisell_updated_at   timestamptz,
    rts_at               timestamptz,
    shipped_at           timestamptz,
    completed_at         timestamptz,
    tracking_numbers     text[]  NOT NULL DEFAULT '{}',
    detail               jsonb,
    synced_at            timestamptz,
    detail_updated_at    timestamptz,               -- Omisell's time of detail; behind omisell_updated_at: a detail is owed
    status_seen_at       timestamptz,               -- when the answer was asked for that status_id was read from
    known_since          timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 80);
COMMENT ON TABLE omisync.orders IS 'One row an order known to Omisell or sent to it. Kept by omisync; read it, LISTEN omisync_orders, or name a function in hooks.on_change.';
COMMENT ON COLUMN omisync.orders.synced_at IS 'When detail was fetched; NULL until a first detail has come.';
COMMENT ON COLUMN omisync.orders.omisell_updated_at IS 'Omisell''s time of the status shown; the list may have told it before detail follows.';

-- The daily sweep reads the orders that may still move.
CREATE INDEX orders_open ON omisync.orders (omisell_updated_at) WHERE NOT is_final;
-- The orders whose detail is older than what is known of them: the daily sweep sees to it that each is asked for.
CREATE INDEX orders_detail_owed ON omisync.orders (order_number)
    WHERE omisell_order_number IS NOT NULL AND (detail IS NULL OR detail_updated_at < omisell_updated_at);

CREATE TABLE omisync.parcels (
    order_number            text NOT NULL REFERENCES omisync.orders ON DELETE CASCADE ON UPDATE CASCADE,
    package_number          text NOT NULL,
    courier_name            text,
    courier_tracking_number text,
    shipment_status         bigint,
    shipment_status_name    text,
    pickup_id               bigint,
    items                   jsonb NOT NULL DEFAULT '[]',
    PRIMARY KEY (order_number, package_number)
) WITH (fillfactor = 80);

CREATE TABLE omisync.order_events (
    id                   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    order_number         text NOT NULL,
    omisell_order_number text,
    kind                 text NOT NULL CONSTRAINT order_events_kind CHECK (kind IN (
        'added', 'adopted', 'annulled', 'status', 'parcels', 'cancel_requested', 'cancel_refused', 'failed')),
    old_status_id        bigint,
    new_status_id        bigint,
    source               text NOT NULL CONSTRAINT order_events_source CHECK (source IN ('outbox', 'webhook', 'sweep', 'operator')),
    data                 jsonb,
    occurred_at          timestamptz NOT NULL DEFAULT now(),
    recorded_at          timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE omisync.order_events IS 'Append-only history of every order.';
CREATE INDEX order_events_by_order ON omisync.order_events (order_number, id);

CREATE FUNCTION omisync.order_event_notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('omisync_orders', json_build_object(
        'id', NEW.id, 'order_number', NEW.order_number, 'kind', NEW.kind, 'status_id', NEW.new_status_id)::text);
    RETURN NULL;
END
$$;
-- On the daemon's own writes only: the shop's transactions never wait on NOTIFY's lock.
CREATE TRIGGER order_events_notify AFTER INSERT ON omisync.order_events
    FOR EACH ROW EXECUTE FUNCTION omisync.order_event_notify();

-- Events whose hook call has failed, or waits behind one of the same order that has.
CREATE TABLE omisync.hook_calls (
    event_id     bigint PRIMARY KEY REFERENCES omisync.order_events ON DELETE CASCADE,
    order_number text        NOT NULL,
    attempts     integer     NOT NULL DEFAULT 0,
    available_at timestamptz NOT NULL DEFAULT now(),
    error        text
);
CREATE INDEX hook_calls_by_order ON omisync.hook_calls (order_number, event_id);
