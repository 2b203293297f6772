"""The campaigns of the demo: who gets what, when it was due, and what became of it."""
