"""What the console knows and decides: no terminal, no network."""

from runner import __version__ as __version__
