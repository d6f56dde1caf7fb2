-- Whether any hook call is due is a part of the daemon's one look at what there is to do: it reads this index's beginning.
CREATE INDEX hook_calls_due ON omisync.hook_calls (available_at);
