-- What Omisell's other pushes tell (shipments, returns, money), and the end of personal data that has had its time.

-- Events that only a push tells of, and the removal of personal data. Every row that is there satisfied the narrower
-- lists, so none is read again.
ALTER TABLE omisync.order_events
    DROP CONSTRAINT order_events_kind,
    DROP CONSTRAINT order_events_source,
    ADD CONSTRAINT order_events_kind CHECK (kind IN (
        'added', 'adopted', 'annulled', 'status', 'parcels', 'cancel_requested', 'cancel_refused', 'failed',
        'returned', 'return_receive', 'reconciled', 'return', 'forgotten')) NOT VALID,
    ADD CONSTRAINT order_events_source CHECK (source IN ('outbox', 'webhook', 'sweep', 'operator', 'retention')) NOT VALID;
COMMENT ON TABLE omisync.order_events IS 'History of every order. Only added to; when personal data goes, what quotes it goes from data.';

ALTER TABLE omisync.parcels ADD COLUMN data jsonb NOT NULL DEFAULT '{}';
COMMENT ON COLUMN omisync.parcels.data IS 'What else Omisell tells of the parcel, as it tells it.';

-- One row an order that came back, or is on its way. Omisell does not document what a push of the type Return holds, so
-- nothing but its status is read out of it; all of it is in data.
CREATE TABLE omisync.returns (
    order_number text PRIMARY KEY REFERENCES omisync.orders ON DELETE CASCADE ON UPDATE CASCADE,
    returned_at  timestamptz,                      -- Omisell's time at which the order was returned, the last time
    received_at  timestamptz,                      -- and at which the goods were received in the warehouse
    event        text,                             -- the latest push of the type Return
    status_id    bigint,                           -- as that push has it: the return's, or the order's, is not documented
    status_name  text,
    updated_at   timestamptz,                      -- Omisell's time of that push
    data         jsonb NOT NULL DEFAULT '{}'       -- its data, as it came
) WITH (fillfactor = 80);
COMMENT ON TABLE omisync.returns IS 'What is known of orders that came back: by their status, by order.returned and order.return_receive, by pushes of the type Return.';

-- An order whose status becomes 800 (Returned [guide]) has come back, whoever tells it: its add's answer, a push's fetch, a sweep.
CREATE FUNCTION omisync.order_returned() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO omisync.returns AS n (order_number, returned_at) VALUES (NEW.order_number, NEW.omisell_updated_at)
    ON CONFLICT (order_number) DO UPDATE SET returned_at = greatest(n.returned_at, excluded.returned_at);
    RETURN NULL;
END
$$;
CREATE TRIGGER orders_born_returned AFTER INSERT ON omisync.orders FOR EACH ROW
    WHEN (NEW.status_id = 800) EXECUTE FUNCTION omisync.order_returned();
CREATE TRIGGER orders_returned AFTER UPDATE ON omisync.orders FOR EACH ROW
    WHEN (NEW.status_id = 800 AND OLD.status_id IS DISTINCT FROM 800) EXECUTE FUNCTION omisync.order_returned();
INSERT INTO omisync.returns (order_number, returned_at)
SELECT order_number, omisell_updated_at FROM omisync.orders WHERE status_id = 800;

-- Pushes that tell what no detail does become events of their own, once what they made us fetch has been applied, or given up.
ALTER TABLE omisync.inbox ADD COLUMN noticed_at timestamptz;
CREATE INDEX inbox_unnoticed ON omisync.inbox (id)
    WHERE noticed_at IS NULL AND state IN ('done', 'known', 'unhandled')
      AND (category = 'return' OR event IN ('order.returned', 'order.return_receive', 'order.reconciled'));

-- Personal data. Of an order with forgotten_at nothing personal is kept, also of details and pushes that come later.
ALTER TABLE omisync.orders ADD COLUMN forgotten_at timestamptz;
COMMENT ON COLUMN omisync.orders.forgotten_at IS 'Since when the buyer''s data is removed, here and in the order''s other rows; what is fetched later is kept without it.';
ALTER TABLE omisync.outbox ADD COLUMN forgotten_at timestamptz;
COMMENT ON COLUMN omisync.outbox.forgotten_at IS 'Since when payload and error hold no personal data any more.';
-- The orders that have been final the longest, and the rows that never became an order.
CREATE INDEX orders_to_forget ON omisync.orders ((coalesce(omisell_updated_at, known_since)))
    WHERE is_final AND forgotten_at IS NULL;
CREATE INDEX outbox_to_forget ON omisync.outbox (finished_at)
    WHERE forgotten_at IS NULL AND (state = 'discarded' OR outcome = 'annulled');

-- A JSON document without names, phones, addresses and e-mails. By the names of keys, written in any case, with _ or
-- without: what is a person's is left out, of an object that describes a person only country and province stay. Names of
-- products, shops, couriers, statuses stay, as do all numbers, amounts and times.
CREATE FUNCTION omisync.without_personal_data(document jsonb) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    -- what may be one, told cheaply: a pattern of this size costs more than all else here
    like_one  CONSTANT text[] := '{receiver%,recipient%,consignee%,sender%,buyer%,customer%,payer%,contact%,user%,person%,invoice%,billing%,billto%,shipto%,member%,owner%}';
    a_person  CONSTANT text := '^(receiver|recipient|consignee|sender|buyer|customer|payer|contact|user|person|invoice|billing|billto|shipto|member|owner)s?(info|information|details?|data)?$';
    of_person CONSTANT text[] := '{%phone%,%mobile%,%email%,%mail%,%address%,%fullname%,%firstname%,%lastname%,%middlename%,%nickname%,%username%'
        ',%birth%,%gender%,%passport%,%identity%,%taxcode%,%taxnumber%,%street%,%district%,%postal%,%postcode%,%latitude%,%longitude%'
        ',%facebook%,%zalo%,%hoten%,%diachi%,%dienthoai%,zip%,ward,wardname,wardid,wardcode,tel,fax,sdt,dob,lat,lng,ip,company,companyname'
        ',accountname,accountnumber,bankaccount,receivername,recipientname,consigneename,sendername,buyername,customername,payername'
        ',contactname,personname,invoicename,billingname,membername,ownername,holdername,accountholdername,cardname,cardholdername'
        ',%note,%notes,%comment,%comments,%remark,%remarks,%message,%messages,reason,%reasontext}';
BEGIN
    CASE jsonb_typeof(document)
        WHEN 'object' THEN
            RETURN (
                SELECT coalesce(jsonb_object_agg(e.key, CASE
                    WHEN NOT e.is_nested THEN e.value
                    WHEN e.is_person THEN omisync.of_a_person(e.value)
                    ELSE omisync.without_personal_data(e.value) END), '{}')
                FROM (SELECT d.key, d.value, d.folded, jsonb_typeof(d.value) IN ('object', 'array') AS is_nested,
                             d.folded LIKE ANY (like_one) AND d.folded ~ a_person AS is_person
                      FROM (SELECT key, value, translate(lower(key), '_- .', '') AS folded FROM jsonb_each(document) OFFSET 0) AS d
                      OFFSET 0) AS e
                WHERE CASE WHEN e.is_person THEN e.is_nested ELSE NOT e.folded LIKE ANY (of_person) END);
        WHEN 'array' THEN
            RETURN (
                SELECT coalesce(jsonb_agg(CASE WHEN jsonb_typeof(e.value) IN ('object', 'array')
                    THEN omisync.without_personal_data(e.value) ELSE e.value END ORDER BY e.place), '[]')
                FROM jsonb_array_elements(document) WITH ORDINALITY AS e (value, place));
        ELSE RETURN document;
    END CASE;
END
$$;
COMMENT ON FUNCTION omisync.without_personal_data(jsonb) IS 'The document without names, phones, addresses and e-mails; for the shop''s own copies, too.';

-- Of an object that describes a person, or of several: what is left of each.
CREATE FUNCTION omisync.of_a_person(document jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE jsonb_typeof(document)
        WHEN 'object' THEN (
            SELECT coalesce(jsonb_object_agg(key, value), '{}') FROM jsonb_each(document)
            WHERE key IN ('country', 'country_name', 'country_code', 'province_name', 'province_id')
              AND jsonb_typeof(value) NOT IN ('object', 'array'))
        WHEN 'array' THEN (
            SELECT coalesce(jsonb_agg(omisync.of_a_person(e.value) ORDER BY e.place), '[]')
            FROM jsonb_array_elements(document) WITH ORDINALITY AS e (value, place)
            WHERE jsonb_typeof(e.value) = 'object')
        ELSE '{}' END
$$;

-- The shop may enqueue the same payload again and meets the row that is there, also where the buyer's data is gone from it.
CREATE OR REPLACE FUNCTION omisync.add_order(payload jsonb) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    number   text := payload ->> 'order_number';
    existing record;
BEGIN
    IF payload IS NULL OR jsonb_typeof(payload) <> 'object' OR number IS NULL THEN
        RAISE EXCEPTION 'omisync: the payload is not a JSON object with an order_number'
            USING ERRCODE = 'check_violation', HINT = 'Give Omisell''s Add Order body as one JSON object.';
    END IF;
    -- Two rounds: the row that was in the way may fail, or be discarded, between the two statements.
    FOR round IN 1..2 LOOP
        INSERT INTO omisync.outbox AS o (kind, order_number, payload) VALUES ('order.add', number, add_order.payload)
            ON CONFLICT (order_number) WHERE kind = 'order.add' AND state IN ('pending', 'sending', 'done') DO NOTHING
            RETURNING o.id INTO existing;
        IF FOUND THEN
            RETURN existing.id;
        END IF;
        SELECT o.id, CASE WHEN o.forgotten_at IS NULL THEN o.payload = add_order.payload
                          ELSE o.payload = omisync.without_personal_data(add_order.payload) END AS same
            INTO existing FROM omisync.outbox AS o
            WHERE o.order_number = number AND o.kind = 'order.add' AND o.state IN ('pending', 'sending', 'done');
        IF FOUND THEN
            IF existing.same THEN
                RETURN existing.id;
            END IF;
            RAISE EXCEPTION 'omisync: order % is enqueued already with another payload (outbox id %)', number, existing.id
                USING ERRCODE = 'unique_violation',
                      HINT = 'An order number can be added once. Use another number, or cancel the order.';
        END IF;
    END LOOP;
    RAISE EXCEPTION 'omisync: order % is being changed by another transaction', number
        USING ERRCODE = 'serialization_failure', HINT = 'Run your transaction again.';
END
$$;

GRANT EXECUTE ON FUNCTION omisync.without_personal_data(jsonb), omisync.of_a_person(jsonb)
    TO omisync_app, omisync_operator, omisync_daemon;
GRANT SELECT ON omisync.returns TO omisync_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON omisync.returns TO omisync_daemon;
-- The operator forgets: columns that hold personal data may be written, a push's body still not be read.
GRANT SELECT (noticed_at) ON omisync.inbox TO omisync_operator;
GRANT UPDATE (body) ON omisync.inbox TO omisync_operator;
GRANT UPDATE (payload, forgotten_at) ON omisync.outbox TO omisync_operator;
GRANT UPDATE (detail, forgotten_at) ON omisync.orders TO omisync_operator;
GRANT UPDATE (items, data) ON omisync.parcels TO omisync_operator;
GRANT UPDATE (data) ON omisync.returns, omisync.order_events TO omisync_operator;
GRANT INSERT, UPDATE ON omisync.hook_calls TO omisync_operator;
