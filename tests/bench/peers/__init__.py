"""What omisync is compared with, each a process of its own."""
