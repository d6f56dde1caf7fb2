"""The kernel: moves orders between the outbox, Omisell and the shop's tables. No SQL, no URL, no HTTP status here."""
