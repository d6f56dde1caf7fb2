-- The account's token, shared by all replicas.

-- name: load()
SELECT token, expired_time, refresh_token, refresh_expired_time, extract(epoch FROM obtained_at)::float8 AS obtained_at FROM omisync.tokens;

-- name: save(token, expired_time, refresh_token, refresh_expired_time, obtained_at)
INSERT INTO omisync.tokens (token, expired_time, refresh_token, refresh_expired_time, obtained_at)
VALUES (:token, :expired_time, :refresh_token, :refresh_expired_time, to_timestamp(:obtained_at::float8))
ON CONFLICT (single) DO UPDATE SET token = excluded.token, expired_time = excluded.expired_time,
    refresh_token = excluded.refresh_token, refresh_expired_time = excluded.refresh_expired_time, obtained_at = excluded.obtained_at
RETURNING single;
