-- Copies of Omisell's own lists: what an order may name. Kept by a schedule; each list says how old it is.

CREATE TABLE omisync.mirrors (
    name         text PRIMARY KEY
        CONSTRAINT mirrors_name CHECK (name IN ('shops', 'pickups', 'catalogue', 'products', 'locations')),
    tried_at     timestamptz NOT NULL,
    refreshed_at timestamptz,                        -- when it was last read to its end; NULL: never
    row_count    integer NOT NULL DEFAULT 0,
    offered      boolean NOT NULL DEFAULT true,      -- false: the account has no such list, so what needs it is off
    error        text
);
COMMENT ON TABLE omisync.mirrors IS 'How old each copy of Omisell''s lists is, and whether the account offers the list at all.';

CREATE TABLE omisync.mirror_shops (
    shop_id  bigint PRIMARY KEY,
    name     text NOT NULL,
    platform text NOT NULL,
    seen_at  timestamptz NOT NULL
);

CREATE TABLE omisync.mirror_pickups (
    pickup_id bigint PRIMARY KEY,
    name      text NOT NULL,
    seen_at   timestamptz NOT NULL
);

CREATE TABLE omisync.mirror_skus (
    mirror  text NOT NULL CONSTRAINT mirror_skus_mirror CHECK (mirror IN ('catalogue', 'products')),
    sku     text NOT NULL,
    name    text NOT NULL,
    seen_at timestamptz NOT NULL,
    PRIMARY KEY (sku, mirror)
);

CREATE TABLE omisync.mirror_locations (
    level        text NOT NULL CONSTRAINT mirror_locations_level CHECK (level IN ('province', 'district', 'subdistrict')),
    location_id  bigint NOT NULL,
    name         text NOT NULL,
    parent_level text CONSTRAINT mirror_locations_parent_level CHECK (parent_level IN ('province', 'district')),
    parent_id    bigint,
    seen_at      timestamptz NOT NULL,
    PRIMARY KEY (level, location_id),
    CONSTRAINT mirror_locations_parent CHECK ((parent_level IS NULL) = (parent_id IS NULL)),
    CONSTRAINT mirror_locations_province CHECK ((level = 'province') = (parent_level IS NULL))
);

GRANT SELECT ON omisync.mirrors, omisync.mirror_shops, omisync.mirror_pickups, omisync.mirror_skus, omisync.mirror_locations
    TO omisync_app, omisync_operator;
GRANT SELECT, INSERT, UPDATE, DELETE ON omisync.mirrors, omisync.mirror_shops, omisync.mirror_pickups, omisync.mirror_skus,
    omisync.mirror_locations TO omisync_daemon;
