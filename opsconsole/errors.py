"""How a call to another system fails: in three plain sentences, and with what that means for mail."""


class Trouble(Exception):
    """Something didn't work: what happened, what it means, what to do next. Three plain sentences."""

    def __init__(self, what: str, means: str = "", next_step: str = "") -> None:
        super().__init__(" ".join(_sentence(part) for part in (what, means, next_step) if part))
        self.what, self.means, self.next_step = what, means, next_step


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?", ":")) else f"{text}."


class OutOfReach(Trouble):
    """The system didn't answer; nothing was done."""


class Refused(Trouble):
    """The system, or a safety rule, said no; nothing was done."""


class NotThere(Refused):
    """What was named doesn't exist: a slip of the hand rather than a rule."""


class MaybeStarted(Trouble):
    """The reply to a start was lost. The run may be going: ask for its id, never start it again."""


class AuditUnavailable(Exception):
    """The store can't be opened, read or written. Nothing was acknowledged; nothing is half written."""

    def __init__(self, what: str, means: str, next_step: str) -> None:
        super().__init__(f"{what} {means} {next_step}")
        self.what = what
        self.means = means
        self.next_step = next_step
