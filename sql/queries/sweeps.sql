-- The sweeps' diary; the incremental one goes on from where the last good one ended.

-- name: begin(kind, window_from, window_to)
INSERT INTO omisync.sweeps (kind, window_from, window_to) VALUES (:kind, :window_from, :window_to) RETURNING id;

-- name: end(id, pages, seen, repaired, error)
UPDATE omisync.sweeps SET finished_at = now(), pages = :pages, seen = :seen, repaired = :repaired, error = :error
WHERE id = :id RETURNING id;

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
