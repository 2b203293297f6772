"""The checks before a send, one file a topic."""
