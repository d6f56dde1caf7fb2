-- The last day, hour by hour, for the operator's page. Both tables grow at their end in the order of time, so an index
-- of a few pages, that costs an insert next to nothing, leads to the last day.
CREATE INDEX order_events_recorded ON omisync.order_events USING brin (recorded_at) WITH (pages_per_range = 16, autosummarize = on);
CREATE INDEX inbox_received ON omisync.inbox USING brin (received_at) WITH (pages_per_range = 16, autosummarize = on);
