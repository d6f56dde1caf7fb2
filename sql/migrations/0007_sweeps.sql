-- What sweeps learn about pushes.

-- Changes that a push should have told of, later than any that a push did tell of.
ALTER TABLE omisync.sweeps ADD COLUMN unpushed integer NOT NULL DEFAULT 0;
CREATE INDEX sweeps_unpushed ON omisync.sweeps (finished_at) WHERE unpushed > 0;

-- Since when no push has come although sweeps found at least three changes that should have been pushed; NULL while
-- pushes come. One lost push is the network's; three without a single one that arrives are a hook gone.
CREATE FUNCTION omisync.pushes_silent_since() RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN sum(s.unpushed) >= 3 THEN coalesce(max(p.received_at), min(s.started_at)) END
    FROM (SELECT max(received_at) AS received_at
          FROM (SELECT received_at FROM omisync.inbox ORDER BY id DESC LIMIT 1) AS last) AS p
    JOIN omisync.sweeps AS s ON s.unpushed > 0 AND s.finished_at > coalesce(p.received_at, '-infinity')
$$;
GRANT EXECUTE ON FUNCTION omisync.pushes_silent_since() TO omisync_operator, omisync_daemon;
