"""What is wrong with the pipeline as a whole, beside any single campaign. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from backends.serverless.concerns import say_quota
from backends.serverless.looks import Look, Tuning, outstanding
from backends.serverless.ses import HEALTHY
from backends.serverless.troubles import shown

SLACK: Final = (10, 0.05)  # references, share: SQS's numbers are about, and a standard queue may have one twice
DEAR: Final = 1000.0  # read units a look: at one each 15 s nearly six million a day
PARTS: Final = {
    "queue": "The queue",
    "dead": "The dead-letter queue",
    "ses": "SES's account",
    "reasons": "Why recipients weren't reached",
}
"""What is trouble when it can't be asked. Without the age of the oldest message, or the length of the suppression
list, less is said; `doctor` tells of these."""


def findings(items: Iterable[Mapping[str, Any]], look: Look, tuning: Tuning, whole: bool = True) -> tuple[str, ...]:
    """One sentence each. `items` are all campaigns read; `whole` is False where the table has more."""
    all_items = tuple(items)
    return tuple(
        filter(
            None,
            (
                *(
                    f"{PARTS[part]} couldn't be looked at. {why}"
                    for part, why in look.unread.items()
                    if part in PARTS
                ),
                "" if whole else _capped(len(all_items)),
                _nobodys(all_items, look, whole),
                _dead(look),
                *_ses(look, tuning),
                _dear(look),
            ),
        )
    )


def _capped(read: int) -> str:
    return (
        f"The table of campaigns is larger than one look may read: {read:,} campaigns were read, the others aren't "
        "shown. Raise `pages`, or move old campaigns out of the table."
    )


def _nobodys(items: tuple[Mapping[str, Any], ...], look: Look, whole: bool) -> str:
    """References of campaigns that aren't there any more: what the workers call "campaign not found"."""
    if look.queue is None or not whole:
        return ""
    owed = sum(outstanding(item) for item in items)
    extra = look.queue.left - owed
    if extra <= max(SLACK[0], owed * SLACK[1]):
        return ""
    return (
        f"campaign not found: {look.queue.left:,} references are in {look.queue.name}, but only {owed:,} are "
        f"owed to campaigns under way. About {extra:,} belong to campaigns that were cancelled, deleted or never "
        "saved; the workers throw those of cancelled ones away, the others end in the dead-letter queue."
    )


def _dead(look: Look) -> str:
    if look.under_way or not look.say_dead():
        return ""
    name = look.dead.name if look.dead else ""
    return f"{look.say_dead()} {name}, and no campaign is under way: move them back (redrive) or throw them away."


def _ses(look: Look, tuning: Tuning) -> tuple[str, ...]:
    account = look.account
    if account is None or tuning.channel != "ses":
        return ()
    found = []
    if account.enabled is False or account.enforcement == "SHUTDOWN":
        found.append("sending-paused: SES doesn't send for this account in this region; nothing goes out.")
    elif account.enforcement not in ("", HEALTHY):
        found.append(f"SES has the account under review ({shown(account.enforcement)}).")
    if not look.under_way and (account.used or 0.0) >= tuning.quota_warn:
        found.append(f"quota-nearly-used: {say_quota(look, 0, tuning.zone)}.")
    return tuple(found)


def _dear(look: Look) -> str:
    if look.units < DEAR:
        return ""
    return (
        f"One look reads {look.units:,.0f} units of DynamoDB, which costs money each time. Raise `refresh_every`, "
        "or move old campaigns out of the table."
    )
