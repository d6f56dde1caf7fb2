-- Copies of Omisell's lists. A reading puts in what it sees under its own time; at its end what it has not seen goes.

-- name: began()
-- The time of a new reading.
SELECT clock_timestamp();

-- name: put_shops(seen_at, ids, names, platforms)
INSERT INTO omisync.mirror_shops AS m (shop_id, name, platform, seen_at)
SELECT DISTINCT ON (r.id) r.id, r.name, r.platform, :seen_at::timestamptz
FROM unnest(:ids::bigint[], :names::text[], :platforms::text[]) AS r (id, name, platform)
ON CONFLICT (shop_id) DO UPDATE SET name = excluded.name, platform = excluded.platform, seen_at = excluded.seen_at
RETURNING 1;

-- name: put_pickups(seen_at, ids, names)
INSERT INTO omisync.mirror_pickups AS m (pickup_id, name, seen_at)
SELECT DISTINCT ON (r.id) r.id, r.name, :seen_at::timestamptz FROM unnest(:ids::bigint[], :names::text[]) AS r (id, name)
ON CONFLICT (pickup_id) DO UPDATE SET name = excluded.name, seen_at = excluded.seen_at
RETURNING 1;

-- name: put_skus(mirror, seen_at, skus, names)
INSERT INTO omisync.mirror_skus AS m (mirror, sku, name, seen_at)
SELECT DISTINCT ON (r.sku) :mirror, r.sku, r.name, :seen_at::timestamptz
FROM unnest(:skus::text[], :names::text[]) AS r (sku, name)
ON CONFLICT (sku, mirror) DO UPDATE SET name = excluded.name, seen_at = excluded.seen_at
RETURNING 1;

-- name: put_locations(seen_at, levels, ids, names, parent_levels, parent_ids)
INSERT INTO omisync.mirror_locations AS m (level, location_id, name, parent_level, parent_id, seen_at)
SELECT DISTINCT ON (r.level, r.id) r.level, r.id, r.name, r.parent_level, r.parent_id, :seen_at::timestamptz
FROM unnest(:levels::text[], :ids::bigint[], :names::text[], :parent_levels::text[], :parent_ids::bigint[])
    AS r (level, id, name, parent_level, parent_id)
ON CONFLICT (level, location_id) DO UPDATE SET
    name = excluded.name, parent_level = excluded.parent_level, parent_id = excluded.parent_id, seen_at = excluded.seen_at
RETURNING 1;

-- name: done(name, seen_at)
-- A reading came to its end: what it has not seen is gone at Omisell too.
WITH shops AS (
    DELETE FROM omisync.mirror_shops WHERE :name::text = 'shops' AND seen_at < :seen_at::timestamptz
), pickups AS (
    DELETE FROM omisync.mirror_pickups WHERE :name::text = 'pickups' AND seen_at < :seen_at::timestamptz
), skus AS (
    -- only what two readings have not seen: products that move between pages while these are read can be missed once
    DELETE FROM omisync.mirror_skus WHERE mirror = :name::text
        AND seen_at < least(:seen_at::timestamptz, (SELECT refreshed_at FROM omisync.mirrors WHERE name = :name::text))
), locations AS (
    DELETE FROM omisync.mirror_locations WHERE :name::text = 'locations' AND seen_at < :seen_at::timestamptz
)
INSERT INTO omisync.mirrors AS m (name, tried_at, refreshed_at, row_count, offered, error)
VALUES (:name::text, now(), :seen_at::timestamptz,
    CASE :name::text
        WHEN 'shops' THEN (SELECT count(*) FROM omisync.mirror_shops WHERE seen_at >= :seen_at::timestamptz)
        WHEN 'pickups' THEN (SELECT count(*) FROM omisync.mirror_pickups WHERE seen_at >= :seen_at::timestamptz)
        WHEN 'locations' THEN (SELECT count(*) FROM omisync.mirror_locations WHERE seen_at >= :seen_at::timestamptz)
        ELSE (SELECT count(*) FROM omisync.mirror_skus WHERE mirror = :name::text AND seen_at >= :seen_at::timestamptz)
    END, true, NULL)
ON CONFLICT (name) DO UPDATE SET tried_at = excluded.tried_at, refreshed_at = excluded.refreshed_at,
    row_count = excluded.row_count, offered = true, error = NULL
RETURNING row_count;

-- name: failed(name, error, offered)
-- A reading broke off, or the account has no such list; what is there stays.
INSERT INTO omisync.mirrors AS m (name, tried_at, offered, error) VALUES (:name::text, now(), :offered, :error)
ON CONFLICT (name) DO UPDATE SET tried_at = excluded.tried_at, offered = excluded.offered, error = excluded.error
RETURNING name;

-- name: ages()
-- Every list that was ever read or tried, with its age in seconds.
SELECT name, refreshed_at, extract(epoch FROM now() - refreshed_at)::float8 AS age,
    extract(epoch FROM now() - tried_at)::float8 AS tried_age, row_count, offered, error
FROM omisync.mirrors ORDER BY name;

-- name: shops()
SELECT shop_id, name, platform FROM omisync.mirror_shops ORDER BY shop_id;

-- name: pickups()
SELECT pickup_id, name FROM omisync.mirror_pickups ORDER BY pickup_id;

-- name: skus(search, most)
-- SKUs that hold a text in SKU or name; all for an empty one.
SELECT sku, max(name) AS name, array_agg(mirror ORDER BY mirror) AS mirrors FROM omisync.mirror_skus
WHERE :search::text = '' OR position(lower(:search::text) IN lower(sku || ' ' || name)) > 0
GROUP BY sku ORDER BY sku LIMIT :most;

-- name: unknown_skus(skus)
-- Those of the SKUs that no list has.
SELECT DISTINCT s AS sku FROM unnest(:skus::text[]) AS s
WHERE NOT EXISTS (SELECT FROM omisync.mirror_skus AS m WHERE m.sku = s) ORDER BY s;

-- name: locations()
SELECT level, location_id, name, parent_level, parent_id FROM omisync.mirror_locations
ORDER BY CASE level WHEN 'province' THEN 1 WHEN 'district' THEN 2 ELSE 3 END, location_id;

-- name: put_sku(sku, name)
-- A product that we have just made known.
INSERT INTO omisync.mirror_skus AS m (mirror, sku, name, seen_at) VALUES ('products', :sku, :name, clock_timestamp())
ON CONFLICT (sku, mirror) DO UPDATE SET seen_at = excluded.seen_at RETURNING sku;
