-- outbox.notify = true: tell the daemon of new rows at once. NOTIFY takes Postgres's commit-time lock in the shop's own
-- transaction, which is why it is a choice.
CREATE OR REPLACE FUNCTION omisync.outbox_notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('omisync_outbox', '');
    RETURN NULL;
END
$$;
CREATE OR REPLACE TRIGGER outbox_notify AFTER INSERT ON omisync.outbox
    FOR EACH STATEMENT EXECUTE FUNCTION omisync.outbox_notify();
