"""Who a campaign would mail: counted exactly by SQL, or at most, from the counts of its lists. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from backends.listmonk.campaigns import Campaign
from backends.listmonk.system import MailList

OPTIN: Final = "optin"

_WHO: Final = (
    "subscribers.status != 'blocklisted' AND EXISTS (SELECT 1 FROM subscriber_lists sl"
    " JOIN campaign_lists cl ON cl.list_id=sl.list_id JOIN lists l ON l.id=sl.list_id"
    " WHERE cl.campaign_id={id} AND sl.subscriber_id=subscribers.id AND ({subscribed}))"
)
_REGULAR: Final = (
    "(l.optin='double' AND sl.status='confirmed') OR (l.optin!='double' AND sl.status!='unsubscribed')"
)
_TO_CONFIRM: Final = "l.optin='double' AND sl.status='unconfirmed'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Audience:
    """How many people; not `exact`: at most so many. None: it can't be told."""

    people: int | None
    exact: bool

    def __str__(self) -> str:
        if self.people is None:
            return "nobody can tell how many"
        return f"{'' if self.exact else '≤ '}{self.people:,}"


UNKNOWN: Final = Audience(people=None, exact=False)


def condition(campaign: Campaign) -> str:
    """The SQL condition that holds for those whom listmonk would mail, once each; its `query` of subscribers."""
    return _WHO.format(id=int(campaign.id), subscribed=_TO_CONFIRM if campaign.type == OPTIN else _REGULAR)


def at_most(campaign: Campaign, lists: Iterable[MailList]) -> Audience:
    """From the counts of its lists: people on several count several times, blocklisted ones count too."""
    wanted = set(campaign.list_ids)
    bounds = [_bound(campaign, it) for it in lists if it.id in wanted]
    if len(bounds) < len(wanted):
        return UNKNOWN
    known = [bound for bound in bounds if bound is not None]
    return Audience(people=sum(known), exact=False) if len(known) == len(bounds) else UNKNOWN


def _bound(campaign: Campaign, it: MailList) -> int | None:
    if campaign.type != OPTIN:
        return it.mailed_at_most
    if it.optin != "double":
        return 0
    return it.count if it.statuses is None else it.statuses.get("unconfirmed", 0)
