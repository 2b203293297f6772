"""What was begun and how it ended, what is in doubt, and what a person decided of it."""
