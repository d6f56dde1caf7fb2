-- The sweeps' diary; the incremental one goes on from where the last good one ended.

-- name: begin(kind, window_from, window_to)
INSERT INTO omisync.sweeps (kind, window_from, window_to) VALUES (:kind, :window_from, :window_to) RETURNING id, started_at;

-- name: end(id, pages, seen, repaired, lost_times, error)
-- Of the changes whose push was lost, those later than any that a push told of are counted: silence begins with them.
UPDATE omisync.sweeps SET finished_at = now(), pages = :pages, seen = :seen, repaired = :repaired, error = :error,
    unpushed = (
        SELECT count(*) FROM unnest(:lost_times::bigint[]) AS l (updated_time)
        WHERE l.updated_time > (
            SELECT coalesce(max(p.updated_time), 0) FROM (
                SELECT updated_time FROM omisync.inbox ORDER BY id DESC LIMIT 100) AS p))
WHERE id = :id RETURNING id;

-- name: pushes_silent_since()
-- Since when no push comes though Omisell's orders change; NULL while pushes come.
SELECT omisync.pushes_silent_since();

-- name: cursor()
-- Up to where (Omisell's clock, Unix seconds) the list has been compared without a gap.
SELECT max(window_to) FROM omisync.sweeps WHERE kind = 'incremental' AND finished_at IS NOT NULL AND error IS NULL;

-- name: last_full()
-- How long ago (seconds) the daily sweep last ended well; NULL if never.
SELECT extract(epoch FROM now() - max(finished_at))::float8 FROM omisync.sweeps WHERE kind = 'full' AND error IS NULL;

-- name: purge(keep_seconds, most)
DELETE FROM omisync.sweeps WHERE id IN (
    SELECT id FROM omisync.sweeps WHERE started_at < now() - make_interval(secs => :keep_seconds::float8) ORDER BY id LIMIT :most)
RETURNING id;
