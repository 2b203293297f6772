"""Refusals: about one message, or about all of them? Ten of the second kind in a row stop the send. Pure.

What counts, and why:

- 5xx to MAIL or DATA: nothing of the recipient was looked at yet.
- 5xx to RCPT or after the dot that speaks of the sender, the content, the size or the limits of the account
  (`blocked`, `auth`, `too big`, `rate limited`, `other`): the same for everybody, as the messages are alike. Ten
  mailboxes that don't exist are ten mistakes in the list, though the server words them all alike, so `mailbox
  unknown`, `mailbox full` and `domain unknown` never count, at whatever domains.
- 4xx by which we are blocked or may not send: trying everybody three times makes it worse. Any other 4xx that
  doesn't speak of the mailbox (greylisting, limits, a sick server) counts only at a message's last try, where it
  would fail for good; before that the retries are the answer, and 421 and 454 slow the send down.
- 530, 535 and TLS faults raise ServerRefusesUs: one is enough.

In a row means: nothing was accepted in between, and no other answer of the kind that counts. Refusals that don't
count neither count nor end the row: they don't show that a message goes through.
"""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.channel.port import Kind, Outcome
from runner.policy import bounces
from runner.policy.bounces import bounce_class

if TYPE_CHECKING:
    from runner.run.backlog import Item

_LOOKED_AT = 300  # characters; these patterns take the square of it
ENOUGH = 10  # the same answer so many times in a row: it is not about the messages

_THEIRS = frozenset({bounces.UNKNOWN_MAILBOX, bounces.FULL, bounces.DOMAIN})
_OURS = frozenset({bounces.BLOCKED, bounces.AUTH})
_PRIVATE = re.compile(r"<[^>]*>|\S+@\S+|\S*\d\S*")  # what differs between equal answers: addresses, ids, numbers


def concerns_all(outcome: Outcome, last_try: bool) -> bool:
    """May this be about everybody, so that the message is kept aside? `last_try`: a 4xx would be for good now."""
    if outcome.kind is Kind.SENDER_REFUSED:
        return True
    if outcome.kind is Kind.FAILED and 500 <= outcome.code < 600:
        return bounce_class(outcome.code, outcome.text) not in _THEIRS
    if outcome.kind is Kind.DEFERRED and 400 <= outcome.code < 500:
        about = bounce_class(outcome.code, outcome.text)
        return about in _OURS or (last_try and about not in _THEIRS)
    return False


def likeness(code: int, text: str) -> tuple[int, str]:
    """Equal for answers that differ only in addresses, numbers and ids."""
    return code, " ".join(_PRIVATE.sub("#", text[:_LOOKED_AT]).lower().split())


@dataclass(frozen=True, slots=True)
class Refusal:
    """`kind` says what becomes of the message when the refusal was about it alone: DEFERRED or failed."""

    item: "Item"
    code: int
    text: str
    kind: Kind = Kind.SENDER_REFUSED

    @property
    def likeness(self) -> tuple[int, str]:
        """As likeness()."""
        return likeness(self.code, self.text)


class Refusals:
    """Messages whose refusal may be about all, kept aside until it is clear."""

    def __init__(self) -> None:
        self.kept: list[Refusal] = []

    def fits(self, refusal: Refusal) -> bool:
        """Is it the same answer as those kept?"""
        return not self.kept or self.kept[-1].likeness == refusal.likeness

    def keep(self, refusal: Refusal) -> bool:
        """Keep one more; True when it is enough to stop and ask a person."""
        self.kept.append(refusal)
        return len(self.kept) >= ENOUGH

    def take_all(self) -> list[Refusal]:
        kept, self.kept = self.kept, []
        return kept
