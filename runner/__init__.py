"""mail-blast-runner: goes to the blast host and imports nothing of the console."""
