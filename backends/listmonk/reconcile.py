"""After the end: who was reached, who wasn't, and what is known of those. Looks only; nothing is ever sent again.

"finished" is listmonk's word for "nobody is left after my checkpoint", which moves on when a batch is fetched:
those that failed and those it forgot in a restart lie before it like those that were mailed.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

from backends.listmonk.audience import condition
from backends.listmonk.campaigns import CANCELLED, OVER, PAUSED, RUNNING, Campaign
from backends.listmonk.client import BOUNCES, COUNTS, Client
from backends.listmonk.control import Control, Look
from backends.listmonk.runwords import counts_of
from opsconsole.observation import Counts
from opsconsole.ports import OutOfReach, Trouble

T = TypeVar("T")
IDS_A_LINE: Final = 50
RECONCILED: Final = "reconciled: "


@dataclass(frozen=True, slots=True, kw_only=True)
class Aftermath:
    """`failed` are subscriber ids with an error in the log. `through` and `ahead` count people on either side of
    listmonk's checkpoint, as its lists are now. None where that can't be had: `unread` says why."""

    campaign: Campaign
    counts: Counts
    failed: tuple[str, ...]
    unrendered: int
    restarts: tuple[datetime, ...]
    through: int | None
    ahead: int | None
    bounces: tuple[tuple[str, int], ...] | None
    blocklisted: int | None
    unread: tuple[str, ...]
    link: str

    @property
    def missing(self) -> int:
        """Of its audience, so many weren't accepted by its mail server as far as listmonk counted."""
        return max((self.counts.total or 0) - self.counts.accepted, 0)

    @property
    def skipped(self) -> int:
        """So many of the missing have no error: they were never tried, or tried and not counted."""
        return self.missing - self.counts.failed

    @property
    def whole(self) -> bool:
        return not self.missing

    def lines(self) -> tuple[str, ...]:
        """In words; who is missing by id, as addresses are never kept."""
        total, counts = self.counts.total or 0, self.counts
        said = [f"{RECONCILED}{counts.accepted:,} of {total:,} accepted, as listmonk counts"]
        if self.missing:
            rest = "not reached by the time it was cancelled" if self.campaign.status == CANCELLED else "skipped"
            said.append(f"{self.missing:,} missing: {counts.failed:,} failed, {self.skipped:,} {rest}")
        if counts.unknown:
            said.append(f"up to {counts.unknown:,} of them may have been accepted just before a restart, uncounted")
        if self.unrendered:
            said.append(
                f"{self.unrendered:,} mails could not be made; listmonk names nobody there that may be kept"
            )
        for start in range(0, len(self.failed), IDS_A_LINE):
            said.append(f"failed, by subscriber id: {', '.join(self.failed[start : start + IDS_A_LINE])}")
        if len(self.failed) > self.missing:
            said.append("some of these were mailed later, when it was resumed")
        for at in self.restarts:
            said.append(
                f"listmonk was started again about {at:%Y-%m-%d %H:%M:%S} UTC: it skips what it had fetched"
            )
        if self.through is not None:
            lost = max(self.through - counts.accepted, 0)
            said.append(
                f"by its checkpoint it is through with {self.through:,}: {lost:,} of them skipped or failed"
            )
        if self.ahead:
            said.append(f"{self.ahead:,} are behind its checkpoint and were never reached")
        if self.bounces:
            told = ", ".join(f"{number:,} {name}" for name, number in self.bounces)
            said.append(f"bounces so far: {told}; whoever is blocklisted by then isn't counted again")
        if self.blocklisted:
            said.append(f"{self.blocklisted:,} people on its lists are blocklisted and get nothing")
        said += [f"not known: {why}" for why in self.unread]
        if self.missing:
            said.append("nothing is sent again by itself; for the missing, make another campaign")
        said.append(f"in listmonk: {self.link}")
        return tuple(said)


def aftermath(control: Control, look: Look) -> Aftermath:
    """What can be known now of a campaign that has ended. Raises OutOfReach."""
    client, campaign, unread = control.client, look.campaign, []
    profile = client.profile()

    def asked(what: str, permission: tuple[str, ...], ask: Callable[[Client], T]) -> T | None:
        if not profile.may(*permission):
            unread.append(f"{what}, as the user {client.user} lacks {' or '.join(permission)}")
            return None
        try:
            return ask(client)
        except OutOfReach:
            raise
        except Trouble as error:
            unread.append(f"{what} ({error.what})")
            return None

    who = condition(campaign)
    through = asked(
        "its checkpoint",
        COUNTS,
        lambda c: c.count_subscribers(f"{who} AND subscribers.id <= {_checkpoint(campaign)}"),
    )
    ahead = None
    if through is not None:
        ahead = asked(
            "who is ahead of it",
            COUNTS,
            lambda c: c.count_subscribers(f"{who} AND subscribers.id > {_checkpoint(campaign)}"),
        )
    blocklisted = None
    if through is not None:
        blocklisted = asked("who is suppressed", COUNTS, lambda c: c.count_subscribers(_blocklisted(campaign)))
    found = asked("bounces", BOUNCES, lambda c: c.bounces(campaign.id))
    bounces = tuple(Counter(kind or "other" for kind, _ in found).most_common()) if found is not None else None
    if look.trail.failed and _namesakes(client, campaign):
        unread.append("which errors are whose: another campaign of this name ran at the same time")
    if not look.trail.read:
        unread.append(f"who failed: {control.log_trouble}")
    elif not look.trail.whole:
        unread.append("whether more failed than are listed, or it was started again: its log isn't whole")
    return Aftermath(
        campaign=campaign,
        counts=counts_of(campaign, look.trail, look.tuning),
        failed=look.trail.failed,
        unrendered=look.trail.unrendered,
        restarts=look.trail.restarts,
        through=through,
        ahead=ahead,
        bounces=bounces,
        blocklisted=blocklisted,
        unread=tuple(unread),
        link=client.page(f"campaigns/{campaign.id}"),
    )


def _namesakes(client: Client, campaign: Campaign) -> bool:
    """Whether another campaign of its name ran while it did: the log tells them by their names alone."""
    began, ended = campaign.started_at, campaign.updated_at
    for other in client.campaigns(RUNNING, PAUSED, *OVER).campaigns:
        if other.id == campaign.id or other.name != campaign.name or other.started_at is None:
            continue
        until = other.updated_at if other.status in OVER else None
        if began and ended and other.started_at <= ended and (until is None or until >= began):
            return True
    return False


_CHECKPOINT: Final = "(SELECT last_subscriber_id FROM campaigns WHERE campaigns.id={})"
_BLOCKLISTED: Final = (
    "subscribers.status = 'blocklisted' AND EXISTS (SELECT 1 FROM subscriber_lists sl"
    " JOIN campaign_lists cl ON cl.list_id=sl.list_id WHERE cl.campaign_id={} AND sl.subscriber_id=subscribers.id)"
)


def _checkpoint(campaign: Campaign) -> str:
    return _CHECKPOINT.format(int(campaign.id))


def _blocklisted(campaign: Campaign) -> str:
    return _BLOCKLISTED.format(int(campaign.id))
