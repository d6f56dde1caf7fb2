-- Omisell's leaky bucket as all replicas of the account see it: one row, taken from before a call is made.
CREATE TABLE omisync.bucket (
    single        boolean PRIMARY KEY DEFAULT true CHECK (single),
    level         float8      NOT NULL DEFAULT 0,      -- calls in the bucket at `at`
    at            timestamptz NOT NULL DEFAULT clock_timestamp(),
    blocked_until timestamptz                          -- Omisell said 429: nobody calls before
) WITH (fillfactor = 10);                              -- one row, updated often: every update stays on its page
INSERT INTO omisync.bucket DEFAULT VALUES;

GRANT SELECT, UPDATE ON omisync.bucket TO omisync_daemon;
GRANT SELECT ON omisync.bucket TO omisync_operator;
