-- What `omisync check` asks of a database. The first two need nothing of ours to be there.

-- name: server()
SELECT current_setting('server_version') AS version, current_database()::text AS database, current_user::text AS login,
    pg_is_in_recovery() AS standby;

-- name: clock()
SELECT extract(epoch FROM clock_timestamp())::float8;

-- name: closed_tables()
-- Tables of the schema that this user may not read and write as the daemon must.
SELECT c.relname::text AS name FROM pg_class AS c
WHERE c.relkind = 'r' AND c.relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'omisync.outbox'::regclass)
  AND NOT (has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'UPDATE'))
ORDER BY c.relname;

-- name: notifies()
-- Whether the trigger of outbox.notify is there.
SELECT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = 'omisync.outbox'::regclass AND tgname = 'outbox_notify');

-- name: hook(signature)
-- NULL: there is no such function; else whether this user may call it.
SELECT has_function_privilege(to_regprocedure(:signature::text), 'EXECUTE');

-- name: pending_adds(after, most)
-- plan: by values
-- What waits to be sent, for `omisync validate --pending`.
SELECT id, payload::text AS payload FROM omisync.outbox
WHERE kind = 'order.add' AND state = 'pending' AND id > :after ORDER BY id LIMIT :most;
