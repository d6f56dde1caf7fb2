-- The sample shop: tables of its own, beside omisync's schema, as a merchant has them.

-- name: create_login(login, password, role)$
-- The statement that makes the shop's database user; a password cannot be a parameter of CREATE ROLE.
SELECT format('CREATE ROLE %I LOGIN PASSWORD %L IN ROLE %I', :login::text, :password::text, :role::text);

-- name: create_tables()#
-- The shop's own schema. Its user owns nothing of omisync's: it only has the role omisync_app.
CREATE SCHEMA shop;
CREATE TABLE shop.customers (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    fullname    text NOT NULL,
    phone       text NOT NULL,
    email       text NOT NULL,
    address     text NOT NULL,
    subdistrict text NOT NULL,
    district    text NOT NULL,
    province    text NOT NULL
);
CREATE TABLE shop.orders (
    order_number text PRIMARY KEY,
    customer_id  bigint NOT NULL REFERENCES shop.customers,
    payment      text NOT NULL CHECK (payment IN ('cod', 'card')),
    shipping_fee integer NOT NULL,
    note         text NOT NULL DEFAULT '',
    placed_at    timestamptz NOT NULL DEFAULT now(),
    cancelled_at timestamptz,
    -- what came back
    status_id    integer,
    status_name  text,
    tracking     text[] NOT NULL DEFAULT '{}',
    read_at      timestamptz
);
CREATE TABLE shop.order_lines (
    order_number text NOT NULL REFERENCES shop.orders,
    line         integer NOT NULL,
    sku          text NOT NULL,
    quantity     integer NOT NULL CHECK (quantity > 0),
    price        integer NOT NULL,
    PRIMARY KEY (order_number, line)
);
GRANT USAGE ON SCHEMA shop TO shop_app;
GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA shop TO shop_app;

-- name: insert_customer(fullname, phone, email, address, subdistrict, district, province)$
INSERT INTO shop.customers (fullname, phone, email, address, subdistrict, district, province)
VALUES (:fullname, :phone, :email, :address, :subdistrict, :district, :province)
RETURNING id;

-- name: insert_order(order_number, customer_id, payment, shipping_fee, note)!
INSERT INTO shop.orders (order_number, customer_id, payment, shipping_fee, note)
VALUES (:order_number, :customer_id, :payment, :shipping_fee, :note);

-- name: insert_line(order_number, line, sku, quantity, price)*!
INSERT INTO shop.order_lines (order_number, line, sku, quantity, price)
VALUES (:order_number, :line, :sku, :quantity, :price);

-- name: hand_over(payload)$
-- The one call that puts the order into omisync's hands, in the transaction that wrote it.
SELECT omisync.add_order(:payload::jsonb);

-- name: mark_cancelled(order_number)!
UPDATE shop.orders SET cancelled_at = now() WHERE order_number = :order_number AND cancelled_at IS NULL;

-- name: call_off(order_number, reason)$
SELECT omisync.cancel_order(:order_number, :reason);

-- name: order_exists(order_number)$
SELECT EXISTS (SELECT FROM shop.orders WHERE order_number = :order_number);

-- name: cancel_exists(order_number)$
SELECT EXISTS (SELECT FROM shop.orders WHERE order_number = :order_number AND cancelled_at IS NOT NULL);

-- name: read_states()
-- Takes over what has changed at Omisell. By comparison, not by notification: a missed one costs nothing.
UPDATE shop.orders AS mine
SET status_id = known.status_id, status_name = known.status_name, tracking = known.tracking_numbers, read_at = now()
FROM omisync.orders AS known
WHERE known.order_number = mine.order_number
  AND (mine.status_id, mine.tracking) IS DISTINCT FROM (known.status_id, known.tracking_numbers)
RETURNING mine.order_number, mine.status_id;

-- name: counts()
-- For the live table: outbox rows by state, orders by status, orders of the shop.
SELECT 'outbox' AS what, state AS word, NULL::integer AS status_id, count(*) AS number
    FROM omisync.outbox GROUP BY state
UNION ALL
SELECT 'annulled', '', NULL, count(*) FROM omisync.outbox WHERE kind = 'order.add' AND outcome = 'annulled'
UNION ALL
SELECT 'orders', max(coalesce(status_name, '')), status_id, count(*) FROM omisync.orders GROUP BY status_id
UNION ALL
SELECT 'shop', 'placed', NULL, count(*) FROM shop.orders
UNION ALL
SELECT 'shop', 'cancelled', NULL, count(*) FROM shop.orders WHERE cancelled_at IS NOT NULL;

-- name: ledgers()
-- What the shop committed, side by side with what omisync's tables say of it.
SELECT coalesce(mine.order_number, known.order_number) AS order_number,
       mine.order_number IS NOT NULL AS placed,
       mine.cancelled_at IS NOT NULL AS cancelled,
       mine.status_id AS read_status_id,
       sent.state AS add_state, sent.outcome AS add_outcome, sent.error AS add_error,
       undone.state AS cancel_state, undone.outcome AS cancel_outcome, undone.error AS cancel_error,
       known.omisell_order_number, known.status_id, known.tracking_numbers,
       extract(epoch FROM known.omisell_updated_at)::bigint AS updated_time
FROM shop.orders AS mine
FULL JOIN omisync.orders AS known ON known.order_number = mine.order_number
LEFT JOIN LATERAL (
    SELECT * FROM omisync.outbox AS o
    WHERE o.order_number = mine.order_number AND o.kind = 'order.add' ORDER BY o.id DESC LIMIT 1) AS sent ON true
LEFT JOIN LATERAL (
    SELECT * FROM omisync.outbox AS o
    WHERE o.order_number = mine.order_number AND o.kind = 'order.cancel' ORDER BY o.id DESC LIMIT 1) AS undone ON true
ORDER BY 1;
