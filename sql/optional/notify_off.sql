-- outbox.notify = false: the shop's transactions carry no notification.
DROP TRIGGER IF EXISTS outbox_notify ON omisync.outbox;
