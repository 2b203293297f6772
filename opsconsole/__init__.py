"""What the console knows and decides: no terminal, no network."""

__version__ = "0.1.0"
