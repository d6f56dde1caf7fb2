-- The import of a shop's existing orders: how far it is, so that a process that is killed loses nothing but what it had
-- in flight.
CREATE TABLE omisync.imports (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    since_seconds bigint      NOT NULL,                  -- as it was asked for; the same again goes on with it
    window_from   bigint      NOT NULL,                  -- Omisell's clock, Unix seconds
    holder        uuid        NOT NULL,                  -- the process at work: who came last; an earlier one may not write any more
    page_size     integer     NOT NULL,                  -- pages of another size are other pages: then the list begins anew
    next_page     integer     NOT NULL DEFAULT 1,
    pass          integer     NOT NULL DEFAULT 1,        -- readings of the list: rows that move between pages can be missed once
    pass_seen     bigint      NOT NULL DEFAULT 0,        -- orders seen when this reading began
    quiet         boolean     NOT NULL DEFAULT false,    -- the reading before this one showed nothing new
    pages         bigint      NOT NULL DEFAULT 0,        -- calls that brought a page, all in all
    counted       bigint      NOT NULL DEFAULT 0,        -- orders by Omisell's own count, with the last page
    unread        bigint      NOT NULL DEFAULT 0,        -- rows of the first reading that name no order
    seen          bigint      NOT NULL DEFAULT 0,        -- different orders that the list has shown
    known         bigint      NOT NULL DEFAULT 0,        -- of these: up to date already
    fetched       bigint      NOT NULL DEFAULT 0,        --           fetched, and in our tables now
    others        bigint      NOT NULL DEFAULT 0,        --           another shop's
    lost          bigint      NOT NULL DEFAULT 0,        --           listed, but not to be had
    started_at    timestamptz NOT NULL DEFAULT now(),
    listed_at     timestamptz,                           -- when the list had been read to its end
    finished_at   timestamptz,
    abandoned     boolean     NOT NULL DEFAULT false     -- another import, reaching back otherwise, took its place
);
COMMENT ON TABLE omisync.imports IS 'Each `omisync import`: how far it is, and what it found.';
CREATE UNIQUE INDEX imports_unfinished ON omisync.imports ((true)) WHERE finished_at IS NULL;

-- The orders of the import under way; empty when there is none.
CREATE TABLE omisync.import_orders (
    omisell_order_number text PRIMARY KEY,
    order_number         text,
    updated_time         bigint,
    status_id            bigint,
    state                text NOT NULL DEFAULT 'listed'
        CONSTRAINT import_orders_state CHECK (state IN ('listed', 'asked', 'known', 'fetched', 'other', 'lost'))
) WITH (fillfactor = 80);
CREATE INDEX import_orders_listed ON omisync.import_orders (updated_time DESC) WHERE state = 'listed';
CREATE INDEX import_orders_asked ON omisync.import_orders (omisell_order_number) WHERE state = 'asked';

GRANT SELECT, INSERT, UPDATE, DELETE ON omisync.imports, omisync.import_orders TO omisync_daemon;
GRANT SELECT ON omisync.imports, omisync.import_orders TO omisync_operator;
