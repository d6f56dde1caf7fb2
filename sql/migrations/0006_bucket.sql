-- Omisell's leaky bucket as all replicas of the account see it: one row, taken from before a call is made. Times are
-- this database's. The arithmetic is omisync/omisell/pool.py; here is only where it is kept.
CREATE TABLE omisync.bucket (
    single        boolean PRIMARY KEY DEFAULT true CHECK (single),
    revision      bigint      NOT NULL DEFAULT 0,       -- one more with every change: who read an older one reads again
    at            timestamptz NOT NULL DEFAULT clock_timestamp(),
    level         float8      NOT NULL DEFAULT 0,       -- calls in the bucket at `at`
    drift         float8      NOT NULL DEFAULT 0,       -- calls a second that strangers add, as learned
    granted       bigint      NOT NULL DEFAULT 0,       -- calls granted to anybody, ever
    slack         float8      NOT NULL DEFAULT 0,       -- places kept free for a stranger's calls, at `slack_at`
    slack_at      timestamptz NOT NULL DEFAULT 'epoch',
    heard_at      timestamptz NOT NULL DEFAULT 'epoch', -- when Omisell's header last told how full it is
    blocked_until timestamptz NOT NULL DEFAULT 'epoch', -- Omisell said 429: nobody calls before
    holders       jsonb       NOT NULL DEFAULT '{}'     -- {replica: [calls held, urgent calls waiting, forgotten at]}
) WITH (fillfactor = 10);                               -- one row, updated often: every update stays on its page
INSERT INTO omisync.bucket DEFAULT VALUES;

GRANT SELECT, UPDATE ON omisync.bucket TO omisync_daemon;
GRANT SELECT ON omisync.bucket TO omisync_operator;
