"""One row becomes one message."""
