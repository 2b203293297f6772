"""A write after which listmonk starts itself anew, waited for: it answers again, and what was saved is in force."""

from collections.abc import Callable
from typing import Any, Final, TypeVar

from backends.listmonk.client import LostReply
from backends.listmonk.control import Control
from opsconsole.ports import Refused, Trouble

T = TypeVar("T")
LONGEST: Final = 40.0  # s; it takes up to 3.5 s to go, and then as long as its database lets it
STEP: Final = 0.5


class Restarts:
    """One write, and what comes of it."""

    def __init__(self, control: Control, sleep: Callable[[float], None]) -> None:
        self._control, self._sleep = control, sleep
        self._before = control.client.logs()

    def write(self, ask: Callable[[], Any]) -> Any:
        """The reply; None for a lost one: what came of it is read. Raises Refused, OutOfReach with nothing done."""
        try:
            return ask()
        except LostReply:
            return None

    def wait(self, answer: Any, say: Callable[[str], None]) -> str:
        """Until it has restarted and nothing waits for another; what came of it in words. Raises Trouble."""
        if isinstance(answer, dict) and answer.get("needs_restart"):
            raise Trouble(
                "listmonk saved it and didn't restart, as it is at work on a campaign.",
                "It is not in force until the next restart, which loses what is in flight.",
                "Wait until nothing is in flight, then restart it from here.",
            )
        say("waiting for its restart")
        waited, seen = 0.0, False
        while waited <= LONGEST:
            self._sleep(STEP)
            waited += STEP
            try:
                seen = seen or self._restarted()
                if seen and not self._control.client.config().needs_restart:
                    self._control.log()
                    return "read again after its restart, and in force"
            except Refused:
                continue
            except Trouble:
                seen = True  # it is gone for the moment, as it is to be, or a proxy says so for it
        if not seen:
            raise Trouble(
                "Whether listmonk restarted can't be told: its log goes on as before.",
                "What was saved may not be in force.",
                "Look whether it says so in its settings; restart it from here if it does.",
            )
        raise Trouble(
            f"listmonk isn't back after {LONGEST:.0f} s.",
            "Nothing is sent meanwhile, and nothing is lost that wasn't in flight.",
            "Look at its machine.",
        )

    def read(self, ask: Callable[[], T]) -> T:
        """What is there now. A failure after the write is no refusal of it: it is told as what isn't known."""
        try:
            return ask()
        except Trouble as error:
            raise Trouble(
                f"It was saved, and can't be read again: {error.what}",
                "Whether it is in force isn't known.",
                "Look at its settings.",
            ) from error

    def _restarted(self) -> bool:
        """Whether its log began anew: the last line that it had is gone."""
        lines = self._control.client.logs()
        if not self._before:
            return bool(lines)
        return self._before[-1] not in lines
