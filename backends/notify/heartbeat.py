"""A sign of life at an address that somebody else watches, as healthchecks and their like take it."""

from backends.notify.posting import Posting, asked
from backends.secret import Secret
from opsconsole.settings import SecretFrom

SECONDS = 10.0


class Heartbeat:
    """Fetches one address. It is a secret: whoever has it can keep a dead watcher looking alive."""

    def __init__(self, url: SecretFrom) -> None:
        self._url = Secret(url, "address of the dead-man signal")
        self._posting = Posting("dead-man signal", SECONDS, f"Its address comes from {self._url.where}")

    def check(self) -> None:
        """Raises Refused when the address can't be had or used; fetches nothing."""
        self._posting.check(self._url.reveal())

    def beat(self) -> None:
        """Raises OutOfReach, or Refused when the same again would be refused again."""
        asked(self._posting, self._url, "GET", self._url.reveal())
