-- The merchant's own function of a night of chaos: it notes what it hears, and misbehaves when told to.
CREATE SCHEMA chaos;
CREATE TABLE chaos.mood (mode text NOT NULL);
INSERT INTO chaos.mood VALUES ('calm');
CREATE TABLE chaos.heard (
    place        bigint GENERATED ALWAYS AS IDENTITY,
    event_id     bigint NOT NULL,
    order_number text NOT NULL,
    kind         text NOT NULL
);
CREATE TABLE chaos.locks (name text PRIMARY KEY, taken integer NOT NULL DEFAULT 0);
INSERT INTO chaos.locks VALUES ('the shop''s own');
CREATE FUNCTION chaos.heard(event jsonb) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    mode text := (SELECT m.mode FROM chaos.mood AS m);
BEGIN
    IF mode = 'raise' AND random() < 0.5 THEN
        RAISE EXCEPTION 'the hook''s own trouble with %', event ->> 'order_number';
    ELSIF mode = 'slow' AND random() < 0.2 THEN
        PERFORM pg_sleep(random() * 2);
    ELSIF mode = 'deadlock' THEN
        UPDATE chaos.locks SET taken = taken + 1 WHERE name = 'the shop''s own';
    END IF;
    INSERT INTO chaos.heard (event_id, order_number, kind)
    VALUES ((event ->> 'id')::bigint, event ->> 'order_number', event ->> 'kind');
END
$$;
GRANT USAGE ON SCHEMA chaos TO omisync_daemon;
GRANT EXECUTE ON FUNCTION chaos.heard(jsonb) TO omisync_daemon;
