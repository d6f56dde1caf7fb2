-- How late Omisell's list has shown orders that we had added: the worst of each hour, for a day, for all replicas.

CREATE TABLE omisync.list_lag (
    hour    timestamptz PRIMARY KEY,
    seconds float8 NOT NULL CONSTRAINT list_lag_seconds CHECK (seconds >= 0)
) WITH (fillfactor = 50);
COMMENT ON TABLE omisync.list_lag IS 'The greatest age, in each hour, at which an order that Omisell had answered for was still missing from its list.';

GRANT SELECT ON omisync.list_lag TO omisync_operator;
GRANT SELECT, INSERT, UPDATE, DELETE ON omisync.list_lag TO omisync_daemon;
