"""What its code and its SQL decide: who may follow on which status, what is stored, whom a campaign mails."""

from datetime import datetime

from backends.embedded.listmonk.rows import STATUSES, Campaign, MailingList, Subscriber, Subscription

EDITABLE = ("draft", "paused", "scheduled")

# For each target: from where it is allowed, and the answer where it isn't. There is no case for `finished`.
TARGETS = {
    "draft": (("scheduled",), "Only scheduled campaigns can be saved as drafts."),
    "scheduled": (("draft", "paused"), "Only draft campaigns can be scheduled."),
    "running": (("paused", "draft"), "Only paused campaigns and drafts can be started."),
    "paused": (("running",), "Only active campaigns can be paused."),
    "cancelled": (("running", "paused"), "Only active campaigns can be cancelled."),
}
NEEDS_SEND_AT = "Campaign needs a date to be scheduled."


def refused_status(campaign: Campaign, target: str) -> str:
    """Why `target` isn't allowed now; "" when nothing is checked or all is well."""
    allowed, why = TARGETS.get(target, ((), ""))
    refused = why if target in TARGETS and campaign.status not in allowed else ""
    if target == "scheduled" and campaign.send_at is None:
        return NEEDS_SEND_AT
    return refused


def stored_status(requested: str, send_at: datetime | None) -> str:
    """What lands in the row: `running` becomes `scheduled` wherever there is a send date, past or future."""
    return "scheduled" if requested == "running" and send_at is not None else requested


def edited_status(status: str, send_at: datetime | None) -> str:
    """The status after an edit: a scheduled campaign without a date is a draft again."""
    return "draft" if status == "scheduled" and send_at is None else status


def no_such_status(status: str) -> str:
    """The database's complaint about a status that isn't one; "" for one that is."""
    return "" if status in STATUSES else f'pq: invalid input value for enum campaign_status: "{status}"'


def mailed(campaign_type: str, subscriber: Subscriber, row: Subscription, of: MailingList) -> bool:
    """Whether this subscription lets the campaign mail this person. Disabled people are mailed."""
    if subscriber.status == "blocklisted":
        return False
    if campaign_type == "optin":
        return row.status == "unconfirmed" and of.optin == "double"
    if of.optin == "double":
        return row.status == "confirmed"
    return row.status != "unsubscribed"


def net_rate(campaign: Campaign) -> int:
    """Sent, over the whole minutes between the start and the last change of the row (at least one)."""
    if campaign.started_at is None:
        return 0
    minutes = max(int((campaign.updated_at - campaign.started_at).total_seconds() // 60), 1)
    rate = campaign.sent // minutes
    return campaign.sent if rate > campaign.sent or rate > campaign.to_send else rate


def bounce_counts(bounce_type: str, of_this_type: int, status: str, threshold: int) -> bool:
    """Whether a bounce is recorded at all: not once the person is blocklisted or above the action's threshold."""
    return status != "blocklisted" and of_this_type <= threshold
