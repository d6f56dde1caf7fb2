-- The outbox: what the shop wants done at Omisell, one row an add or a cancel.
--
-- States:  pending -> sending -> done | failed | pending again
--          failed -> pending (operator's retry) | discarded | done (annulled by a cancel, or adopted)
--          pending -> discarded | done (annulled, or adopted because a push or a sweep brought the order)
-- A row is `sending` exactly while a lease on it is held; every finish names the lease it was claimed under.
-- maybe_sent_at: since when a copy may exist at Omisell. NULL says: surely nothing of this row is there.
-- settle_at:     when the wait began after which "Omisell does not list it" is believed, for a row with maybe_sent_at.

CREATE TABLE omisync.outbox (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind          text        NOT NULL CONSTRAINT outbox_kind CHECK (kind IN ('order.add', 'order.cancel')),
    order_number  text        NOT NULL CONSTRAINT outbox_order_number CHECK (order_number <> ''),
    payload       jsonb,
    state         text        NOT NULL DEFAULT 'pending'
        CONSTRAINT outbox_state CHECK (state IN ('pending', 'sending', 'done', 'failed', 'discarded')),
    outcome       text
        CONSTRAINT outbox_outcome CHECK (outcome IN ('added', 'adopted', 'cancelled', 'already_cancelled', 'annulled')),
    attempts      integer     NOT NULL DEFAULT 0 CONSTRAINT outbox_attempts CHECK (attempts >= 0),
    available_at  timestamptz NOT NULL DEFAULT now(),
    error         text,
    created_at    timestamptz NOT NULL DEFAULT now(),
    finished_at   timestamptz,
    lease_token   uuid,
    lease_until   timestamptz,
    maybe_sent_at timestamptz,
    settle_at     timestamptz,
    CONSTRAINT outbox_outcome_of_done CHECK ((state = 'done') = (outcome IS NOT NULL)),
    CONSTRAINT outbox_outcome_of_kind CHECK (
        outcome IS NULL OR outcome = 'annulled'
        OR (kind = 'order.add') = (outcome IN ('added', 'adopted'))),
    CONSTRAINT outbox_finished CHECK ((state IN ('pending', 'sending')) = (finished_at IS NULL)),
    CONSTRAINT outbox_failed_says_why CHECK (state <> 'failed' OR error IS NOT NULL),
    CONSTRAINT outbox_leased CHECK (
        (state = 'sending') = (lease_token IS NOT NULL) AND (lease_token IS NULL) = (lease_until IS NULL)),
    CONSTRAINT outbox_settles_what_may_be_there CHECK (settle_at IS NULL OR maybe_sent_at IS NOT NULL),
    CONSTRAINT outbox_failed_add_is_absent CHECK (state <> 'failed' OR kind <> 'order.add' OR maybe_sent_at IS NULL),
    CONSTRAINT outbox_unsent_is_absent CHECK (state <> 'done' OR outcome <> 'annulled' OR maybe_sent_at IS NULL)
) WITH (
    fillfactor = 80,                            -- room for the updates of a row's short life
    autovacuum_vacuum_scale_factor = 0.0,       -- the hot end must stay clean however large the archive is
    autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_insert_scale_factor = 0.05
);

COMMENT ON TABLE omisync.outbox IS 'What the shop wants done at Omisell: insert (kind, order_number, payload) in the transaction that writes the order, or call add_order / cancel_order.';

-- Claiming reads rows that are due, oldest first, and touches nothing of the archive.
CREATE INDEX outbox_due ON omisync.outbox (kind, available_at, id) WHERE state = 'pending';
-- Rows of one order take effect in their order: what is unfinished before this one?
CREATE INDEX outbox_open ON omisync.outbox (order_number, id) WHERE state IN ('pending', 'sending');
-- Leases that have run out.
CREATE INDEX outbox_sending ON omisync.outbox (order_number) WHERE state = 'sending';
-- What is old enough to be removed.
CREATE INDEX outbox_ended ON omisync.outbox (finished_at) WHERE state IN ('done', 'discarded');
CREATE INDEX outbox_failed ON omisync.outbox (id) WHERE state = 'failed';
-- One living add, and one cancel under way, for an order number. After a failure or a discard it may be enqueued anew.
CREATE UNIQUE INDEX outbox_one_add ON omisync.outbox (order_number)
    WHERE kind = 'order.add' AND state IN ('pending', 'sending', 'done');
CREATE UNIQUE INDEX outbox_one_cancel ON omisync.outbox (order_number)
    WHERE kind = 'order.cancel' AND state IN ('pending', 'sending');
-- An order's history, whatever its state.
CREATE INDEX outbox_by_order ON omisync.outbox (order_number, id);

-- Refuses at the desk, in the shop's own transaction, what could never be sent.
CREATE FUNCTION omisync.outbox_check() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    named jsonb;
BEGIN
    IF length(NEW.order_number) > 255 OR NEW.order_number ~ '^\s|\s$' THEN
        -- an order is found again at Omisell by its number: one that comes back cut or trimmed would be sent twice
        RAISE EXCEPTION 'omisync: order number "%" is longer than 255 characters, or begins or ends with a blank', left(NEW.order_number, 300)
            USING ERRCODE = 'check_violation', HINT = 'Use an order code of at most 255 characters without blanks around it.';
    END IF;
    IF NEW.kind = 'order.add' THEN
        IF NEW.payload IS NULL OR jsonb_typeof(NEW.payload) <> 'object' THEN
            RAISE EXCEPTION 'omisync: the payload of order % is not a JSON object', NEW.order_number
                USING ERRCODE = 'check_violation', HINT = 'Give Omisell''s Add Order body as one JSON object.';
        END IF;
        named := NEW.payload -> 'order_number';
        IF named IS NULL OR jsonb_typeof(named) <> 'string' OR named #>> '{}' = '' THEN
            RAISE EXCEPTION 'omisync: the payload of order % lacks order_number', NEW.order_number
                USING ERRCODE = 'check_violation', HINT = 'Put your order code into payload.order_number, as a JSON string.';
        END IF;
        IF named #>> '{}' IS DISTINCT FROM NEW.order_number THEN
            RAISE EXCEPTION 'omisync: the payload names order %, the row order %', named #>> '{}', NEW.order_number
                USING ERRCODE = 'check_violation', HINT = 'payload.order_number and the column order_number must be the same.';
        END IF;
        IF jsonb_typeof(NEW.payload -> 'items') IS DISTINCT FROM 'array' OR jsonb_array_length(NEW.payload -> 'items') = 0 THEN
            RAISE EXCEPTION 'omisync: order % has no items', NEW.order_number
                USING ERRCODE = 'check_violation', HINT = 'payload.items must be a JSON array with at least one item.';
        END IF;
        -- A row given up while a copy of it might be at Omisell: whoever takes its place looks before it sends.
        SELECT min(o.maybe_sent_at), CASE WHEN bool_and(o.finished_at IS NOT NULL) THEN max(o.finished_at) END
            INTO NEW.maybe_sent_at, NEW.settle_at FROM omisync.outbox AS o
            WHERE o.order_number = NEW.order_number AND o.kind = 'order.add' AND o.state <> 'done' AND o.maybe_sent_at IS NOT NULL;
    ELSIF NEW.kind = 'order.cancel' THEN
        IF NEW.payload IS NOT NULL AND (jsonb_typeof(NEW.payload) <> 'object'
                OR coalesce(jsonb_typeof(NEW.payload -> 'reason'), 'null') NOT IN ('string', 'null')) THEN
            RAISE EXCEPTION 'omisync: the payload of the cancel of order % is not {"reason": text}', NEW.order_number
                USING ERRCODE = 'check_violation', HINT = 'Leave the payload out, or give {"reason": "..."}.';
        END IF;
        IF NOT EXISTS (SELECT FROM omisync.outbox AS o WHERE o.order_number = NEW.order_number)
                AND NOT EXISTS (SELECT FROM omisync.orders AS k WHERE k.order_number = NEW.order_number) THEN
            RAISE EXCEPTION 'omisync: there is no order % to cancel', NEW.order_number
                USING ERRCODE = 'foreign_key_violation',
                      HINT = 'Neither the outbox nor orders knows this order number; check it, or add the order first.';
        END IF;
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER outbox_check BEFORE INSERT ON omisync.outbox
    FOR EACH ROW EXECUTE FUNCTION omisync.outbox_check();

-- The legal moves of a row, and the fence: a lease that has not run out belongs to nobody else. The condition is the
-- trigger's own, so a legal move calls no function.
CREATE FUNCTION omisync.outbox_refuse_move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'omisync: outbox row % cannot go from % to %', OLD.id, OLD.state, NEW.state
        USING ERRCODE = 'check_violation', CONSTRAINT = 'outbox_moves';
END
$$;
CREATE TRIGGER outbox_moves BEFORE UPDATE ON omisync.outbox FOR EACH ROW
    WHEN (CASE OLD.state
        WHEN 'pending' THEN NEW.state = 'failed'
        WHEN 'sending' THEN NEW.state = 'discarded'
            OR (NEW.state = 'sending' AND NEW.lease_token <> OLD.lease_token AND OLD.lease_until >= now())
        WHEN 'failed' THEN NEW.state = 'sending'
        ELSE NEW.state <> OLD.state END)
    EXECUTE FUNCTION omisync.outbox_refuse_move();

CREATE FUNCTION omisync.add_order(payload jsonb) RETURNS bigint LANGUAGE plpgsql AS $$
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
        SELECT o.id, o.payload = add_order.payload AS same INTO existing FROM omisync.outbox AS o
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
COMMENT ON FUNCTION omisync.add_order(jsonb) IS 'Enqueues an order for Omisell; call it in the transaction that writes the order. Returns the outbox id. The same payload again returns the row that is there.';

CREATE FUNCTION omisync.cancel_order(order_number text, reason text DEFAULT NULL) RETURNS bigint LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    existing record;
BEGIN
    FOR round IN 1..2 LOOP
        INSERT INTO omisync.outbox AS o (kind, order_number, payload)
            VALUES ('order.cancel', cancel_order.order_number,
                    CASE WHEN reason IS NOT NULL THEN jsonb_build_object('reason', reason) END)
            ON CONFLICT (order_number) WHERE kind = 'order.cancel' AND state IN ('pending', 'sending') DO NOTHING
            RETURNING o.id INTO existing;
        IF FOUND THEN
            RETURN existing.id;
        END IF;
        SELECT o.id INTO existing FROM omisync.outbox AS o
            WHERE o.order_number = cancel_order.order_number AND o.kind = 'order.cancel' AND o.state IN ('pending', 'sending');
        IF FOUND THEN
            RETURN existing.id;
        END IF;
    END LOOP;
    RAISE EXCEPTION 'omisync: the cancel of order % is being changed by another transaction', cancel_order.order_number
        USING ERRCODE = 'serialization_failure', HINT = 'Run your transaction again.';
END
$$;
COMMENT ON FUNCTION omisync.cancel_order(text, text) IS 'Enqueues the cancel of an order. Returns the outbox id; while a cancel is under way, that one''s.';
