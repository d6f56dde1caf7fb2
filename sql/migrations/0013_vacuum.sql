-- When the tables that only grow, or change slowly, are vacuumed. How to read the figures: rows of a table as it is, times
-- the scale factor, plus the threshold. Every figure can be set otherwise by the table's owner; nothing here sets it again.

-- An order is updated some five times in its life, and most of these updates move omisell_updated_at, on which there are
-- indexes, so that Postgres cannot prune the old versions by itself (HOT). A fifth of a large table dead, which is what
-- Postgres waits for as it comes, leaves more dead entries than living ones in orders_open, which every daily sweep reads. A
-- fiftieth: twice a day where a million orders stand and ten thousand a day come.
ALTER TABLE omisync.orders SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);

-- Both only grow but for retention. Vacuumed a twentieth at a time, what they have grown by is frozen, and its pages marked
-- as seen by all, in portions and not in one great read when a fifth has come.
ALTER TABLE omisync.order_events SET (autovacuum_vacuum_insert_scale_factor = 0.05);
ALTER TABLE omisync.inbox SET (autovacuum_vacuum_insert_scale_factor = 0.05);

-- As it was: the fillfactors. Of parcels every update is HOT; of orders one in eight; of outbox and inbox none can be (their
-- partial indexes go by state), but the room lets a row's next version be written on the page that is dirty already.
