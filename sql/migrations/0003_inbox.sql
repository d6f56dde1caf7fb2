-- Pushes from Omisell, stored before they are answered, and the fetches they ask for.

-- States: new -> waiting (for a fetch) -> done
--         new -> known (says nothing newer than what we have) | ignored (another shop's) | unhandled (no known event, no order)
CREATE TABLE omisync.inbox (
    id                   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    dedup_key            uuid        NOT NULL UNIQUE,
    event                text        NOT NULL,
    category             text        NOT NULL,
    request_id           text,
    order_number         text,
    omisell_order_number text,
    status_id            bigint,
    updated_time         bigint,
    shop_id              bigint,
    authorization_form   text        NOT NULL,
    state                text        NOT NULL DEFAULT 'new'
        CONSTRAINT inbox_state CHECK (state IN ('new', 'waiting', 'done', 'known', 'ignored', 'unhandled')),
    received_at          timestamptz NOT NULL DEFAULT now(),
    handled_at           timestamptz,
    body                 bytea       NOT NULL      -- as it came, byte for byte
) WITH (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 5000);

CREATE INDEX inbox_new ON omisync.inbox (id) WHERE state = 'new';
CREATE INDEX inbox_waiting ON omisync.inbox (omisell_order_number) WHERE state = 'waiting';
CREATE INDEX inbox_by_order ON omisync.inbox (omisell_order_number, id);

-- One row an order whose detail is wanted; one fetch covers all who asked.
CREATE TABLE omisync.refreshes (
    omisell_order_number text PRIMARY KEY,
    order_number         text,
    source               text        NOT NULL CONSTRAINT refreshes_source CHECK (source IN ('outbox', 'webhook', 'sweep', 'operator')),
    priority             smallint    NOT NULL DEFAULT 0,      -- 0 a change was told, 1 a sweep found it, 2 it can wait
    wanted_at            timestamptz,                         -- Omisell's updated_time that the detail must reach
    generation           bigint      NOT NULL DEFAULT 0,      -- moves with each request: one that comes during a fetch is not lost
    requested_at         timestamptz NOT NULL DEFAULT now(),
    available_at         timestamptz NOT NULL DEFAULT now(),
    attempts             integer     NOT NULL DEFAULT 0,
    error                text,
    lease_token          uuid,
    lease_until          timestamptz,
    CONSTRAINT refreshes_leased CHECK ((lease_token IS NULL) = (lease_until IS NULL))
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 2000);
CREATE INDEX refreshes_due ON omisync.refreshes (priority, available_at) WHERE lease_token IS NULL;
CREATE INDEX refreshes_leased ON omisync.refreshes (omisell_order_number) WHERE lease_token IS NOT NULL;

-- Orders of the account's other shops that a list has shown: so that no sweep asks for them again.
CREATE TABLE omisync.other_shops_orders (
    omisell_order_number text PRIMARY KEY,
    seen_at              timestamptz NOT NULL DEFAULT now()
);

-- What a row of Omisell's list says to an order that we know:
--   newer   a change that we had not heard of
--   unsure  another status at the same second, or no status or time to judge by: only the detail can tell
--   behind  nothing new, but detail is older than what is known
--   same    nothing at all; a row older than what we know is none of ours either (lists lag)
CREATE FUNCTION omisync.listed_verdict(
    known_status_id bigint, known_at timestamptz, has_detail boolean, detail_at timestamptz,
    listed_status_id bigint, listed_at timestamptz
) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN listed_status_id IS NULL AND (listed_at IS NULL OR listed_at > coalesce(known_at, '-infinity')) THEN 'unsure'
        WHEN known_at IS NULL AND NOT has_detail AND known_status_id = listed_status_id THEN 'behind'  -- our own add's answer told no time
        WHEN listed_at > coalesce(known_at, '-infinity') THEN 'newer'
        WHEN known_status_id IS DISTINCT FROM listed_status_id AND listed_status_id IS NOT NULL
            AND (listed_at IS NULL OR listed_at = known_at) THEN 'unsure'
        WHEN NOT has_detail OR detail_at < known_at THEN 'behind'
        ELSE 'same'
    END
$$;
