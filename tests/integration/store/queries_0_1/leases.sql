-- Who leads, who lives, who holds the token: by the database's clock.

-- name: take(name, holder, seconds)
-- Takes or keeps a named lease; answers with its end when it is ours, with nothing when somebody else holds it.
INSERT INTO omisync.leases AS l (name, holder, until)
VALUES (:name, :holder::uuid, now() + make_interval(secs => :seconds::float8))
ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
WHERE (l.holder = excluded.holder OR l.until < now()) AND omisync.unhurried()
RETURNING until;

-- name: give_back(name, holder)
DELETE FROM omisync.leases WHERE name = :name AND holder = :holder::uuid RETURNING name;

-- name: beat(id, replica, version, state)
-- A sign of life, and what this replica tells of itself.
INSERT INTO omisync.replicas AS r (id, name, version, state) VALUES (:id::uuid, :replica, :version, :state::text::jsonb)
ON CONFLICT (id) DO UPDATE SET seen_at = now(), state = excluded.state WHERE omisync.unhurried()
RETURNING id;

-- name: leave(id)
DELETE FROM omisync.replicas WHERE id = :id::uuid OR seen_at < now() - interval '1 day' RETURNING id;
