-- The bucket that all replicas share.

-- name: take(want, size, leak)
-- Takes room for up to `want` calls; `leak` in calls a second. Answers with how many were granted, the level after it, and
-- the seconds until there is room for one more (NULL: there is now).
WITH old AS (
    SELECT greatest(0, b.level - :leak::float8 * extract(epoch FROM clock_timestamp() - b.at)::float8) AS level,
           greatest(0, extract(epoch FROM b.blocked_until - clock_timestamp())::float8) AS blocked
    FROM omisync.bucket AS b FOR UPDATE
), granted AS (
    SELECT o.level, o.blocked,
           CASE WHEN coalesce(o.blocked, 0) > 0 THEN 0
                ELSE greatest(0, least(:want::integer, floor(:size::float8 - o.level)::integer)) END AS calls
    FROM old AS o
)
UPDATE omisync.bucket AS b SET level = g.level + g.calls, at = clock_timestamp()
FROM granted AS g
RETURNING g.calls AS granted, b.level,
    CASE WHEN coalesce(g.blocked, 0) > 0 THEN g.blocked
         WHEN b.level + 1 > :size::float8 THEN (b.level + 1 - :size::float8) / :leak::float8 END AS wait;

-- name: correct(used, leak)
-- Omisell counts more than we do: somebody else spends from the same bucket.
UPDATE omisync.bucket AS b SET level = :used::float8, at = clock_timestamp()
WHERE greatest(0, b.level - :leak::float8 * extract(epoch FROM clock_timestamp() - b.at)::float8) < :used::float8
RETURNING level;

-- name: block(seconds, size)
-- Omisell said 429: the bucket is full, and nobody calls for a while.
UPDATE omisync.bucket AS b
SET blocked_until = greatest(b.blocked_until, clock_timestamp() + make_interval(secs => :seconds::float8)),
    level = greatest(b.level, :size::float8), at = clock_timestamp()
RETURNING level;

-- name: give_back(calls)
-- Calls that were granted and not made.
UPDATE omisync.bucket AS b SET level = greatest(0, b.level - :calls::integer) RETURNING level;
