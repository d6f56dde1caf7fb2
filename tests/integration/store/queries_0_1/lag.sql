-- How late Omisell's list is, as far as its readings have shown.

-- name: observe(listed, age, horizon)
-- Compares a whole reading of the list, begun `age` seconds ago, with the orders whose add Omisell had answered in the
-- `horizon` seconds before. The greatest age at which one was still missing is kept for its hour, and returned.
WITH lately AS (
    -- by id, so that the archive is not read; those beyond were added too long ago, or too fast to need all of them
    SELECT * FROM omisync.outbox ORDER BY id DESC LIMIT 2000
), missing AS (
    SELECT max(extract(epoch FROM now() - make_interval(secs => :age::float8) - o.finished_at))::float8 AS seconds
    FROM lately AS o JOIN omisync.orders AS k USING (order_number)
    WHERE o.kind = 'order.add' AND o.outcome = 'added'
      AND o.finished_at < now() - make_interval(secs => :age::float8)
      AND o.finished_at > now() - make_interval(secs => :age::float8 + :horizon::float8)
      AND NOT EXISTS (SELECT FROM unnest(:listed::text[]) AS l (number) WHERE l.number = k.omisell_order_number)
), kept AS (
    INSERT INTO omisync.list_lag AS l (hour, seconds)
    SELECT date_trunc('hour', now()), m.seconds FROM missing AS m WHERE m.seconds IS NOT NULL
    ON CONFLICT (hour) DO UPDATE SET seconds = greatest(l.seconds, excluded.seconds)
), gone AS (
    DELETE FROM omisync.list_lag WHERE hour < now() - interval '1 day'
)
SELECT seconds FROM missing;
