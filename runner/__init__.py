"""mail-blast-runner: goes to the blast host and imports nothing of the console."""

__version__ = "0.1.0"
