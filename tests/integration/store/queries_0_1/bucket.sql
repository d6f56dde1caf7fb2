-- The bucket that all replicas share.

-- name: read()
-- The bucket as it is, and the time by which it is; times in Unix seconds.
SELECT b.revision, b.level, b.drift, b.granted, b.slack, b.holders,
       extract(epoch FROM clock_timestamp())::float8 AS now,
       extract(epoch FROM b.at)::float8 AS at,
       extract(epoch FROM b.slack_at)::float8 AS slack_at,
       extract(epoch FROM b.heard_at)::float8 AS heard_at,
       extract(epoch FROM b.blocked_until)::float8 AS blocked_until
FROM omisync.bucket AS b;

-- name: replace(revision, at, level, drift, granted, slack, slack_at, heard_at, blocked_until, holders)
-- Puts another in its place, unless somebody else was quicker: then no row comes back, and it is to be read again.
UPDATE omisync.bucket AS b
SET revision = b.revision + 1,
    at = to_timestamp(:at::float8),
    level = :level::float8,
    drift = :drift::float8,
    granted = :granted::bigint,
    slack = :slack::float8,
    slack_at = to_timestamp(:slack_at::float8),
    heard_at = to_timestamp(:heard_at::float8),
    blocked_until = to_timestamp(:blocked_until::float8),
    holders = :holders::jsonb
WHERE b.revision = :revision::bigint AND omisync.unhurried()
RETURNING b.revision;
