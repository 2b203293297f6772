"""The audit store: append-only records under a keyed chain."""
