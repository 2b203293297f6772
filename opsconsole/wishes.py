"""What a run may be asked while it goes, besides pause, resume and stop: another rate, another account. Pure."""

from enum import StrEnum
from typing import Protocol, runtime_checkable

from opsconsole.ports import NotThere, RunState

UNCHANGED = "Nothing was changed."
ACCOUNTS = ("main", "fallback")
NO_LIMIT = "none"


class Wish(StrEnum):
    RATE = "rate"
    ACCOUNT = "account"


@runtime_checkable
class Steers(Protocol):
    """A carrier whose runs take wishes while they go."""

    def steer(self, slug: str, attempt: int, wish: Wish, value: str) -> RunState:
        """Ask for a rate (messages a second, or `none`) or an account; the state once it had time to obey.

        The same again is harmless. Raises Refused, with nothing changed, where no live run can be told.
        """
        ...


def checked(wish: Wish, value: str) -> str:
    """`value` as runners read it. Raises NotThere for what is neither rate nor account."""
    value = value.strip().lower()
    if wish is Wish.ACCOUNT:
        if value in ACCOUNTS:
            return value
        raise NotThere(f"{value[:40]!r} is no account.", UNCHANGED, "Name main or fallback.")
    try:
        rate = float(value) if value != NO_LIMIT else 1.0
    except ValueError:
        rate = 0.0
    if not 0.001 <= rate < 1e6:
        raise NotThere(
            f"{value[:40]!r} is no rate.",
            UNCHANGED,
            "Give messages a second, such as 50 or 0.5, or none for no limit. To stop for a while, pause it.",
        )
    return value if value == NO_LIMIT else f"{rate:.6g}"


def faster(before: str, after: str) -> bool:
    """Whether `after` lets more through than `before`; a rate that isn't known may be any."""
    if NO_LIMIT in (before, after):
        return before != NO_LIMIT
    return not before or float(after) > float(before)


def say_wish(wish: Wish, value: str) -> str:
    """`50 a second`, `no limit`, `the fallback account`; what a runner doesn't tell is `not told`."""
    if not value:
        return "not told"
    if wish is Wish.ACCOUNT:
        return f"the {value} account"
    return "no limit" if value == NO_LIMIT else f"{value} a second"


def other_account(account: str) -> str:
    """The one to switch to; a runner that doesn't tell is at its main one."""
    return "main" if account == "fallback" else "fallback"
