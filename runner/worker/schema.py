"""The tables and messages of the pipeline: names, keys, states. What the console and the workers agree on.

EmailCampaigns, one item a campaign (key `campaign_id`). Those who write campaigns set CAMPAIGN; the rest is the
console's and the workers'. EmailContacts, one item a person (key `email`). EmailDeliveries, one item a campaign and
person (keys `campaign_id`, `contact_email`): whoever makes it may send, and nobody else ever.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

CAMPAIGN: Final = (
    "campaign_id",
    "campaign_name",
    "subject",
    "body",  # HTML, a jinja2 template over the contact's fields
    "text",  # optional: the plain-text part
    "from_email",
    "reply_to",
    "list_unsubscribe",  # optional: an https:// address, a template as well
    "email_service",  # "ses" or "smtp"
    "smtp_server",
    "smtp_port",
    "created_at",
    "slug",  # optional: another name on the console than campaign_id
    "due_at",  # optional, with `timezone` where it has no offset
    "timezone",
    "approved_by",
    "approved_at",
    "series",
    "audience_attribute",  # optional: only contacts whose attribute of this name has `audience_value`
    "audience_value",
)
"""What a campaign is made of."""

RUN: Final = (
    "version",  # a number: one more at each change by the console; none counts as 0
    "content_seal",  # content_seal() of it as it was started: what is made of other content never goes out
    "content_version",  # a number: one more at each change of what is mailed; a mail made before it never goes out
    "status",
    "run_id",  # of the console's plan
    "void_runs",  # a set of run ids that were given up: none of them may start any more
    "started_by",
    "started_at",
    "paused",  # a boolean: obeyed by the worker at the very next message
    "paused_by",
    "pause_reason",  # set by a worker that paused it by itself
    "cancelled_by",
    "cancelled_at",
    "total_contacts",
    "queued_count",
    "queue_cursor",  # the last contact whose reference is in the queue: the journal of queueing
    "queueing_by",  # who holds the lease to queue, and until when (seconds since the epoch)
    "queueing_until",
    "queued_at",  # when all of them were queued
    "sent_count",
    "failed_count",
    "missing_count",  # "contact not found": deleted after queueing, which is expected
    "suppressed_count",
    "unknown_count",  # begun by a worker that died: may or may not have gone out, never sent again by itself
    "completed_at",
    "progress_at",  # when a count last changed
)
"""What a run adds to it. Times are ISO 8601 in UTC, counts are changed by ADD alone."""


CONTENT: Final = ("subject", "body", "text", "from_email", "reply_to", "list_unsubscribe")
"""What of a campaign every mail is made of."""


class Status(StrEnum):
    """Of a campaign. One written by others may lack a draft: the seed's own pipeline queues at once."""

    DRAFT = "draft"
    QUEUED = "queued"  # claimed: its references are being queued, nobody was mailed so far
    PROCESSING = "processing"  # set by the first worker before it begins anybody; only such a campaign is mailed
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class State(StrEnum):
    """Of a delivery. SENDING without an end is unknown."""

    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    MISSING = "missing"
    SUPPRESSED = "suppressed"
    UNKNOWN = "unknown"
    RESEND = "resend"  # decided by a person: it may be sent once more


DELIVERY: Final = (
    "campaign_id",
    "contact_email",
    "state",
    "before",  # what the state was when it was begun: "" or "resend"
    "begin_id",  # one for each time it was begun: whose it is to end
    "worker",
    "begun_at",
    "ended_at",
    "message_id",  # the mail system's, or where that gives none the mail's own
    "error_class",  # a bounce class of the runner's, "template", "header" or "address"
    "error",
)

COUNTS: Final[Mapping[State, str]] = {
    State.SENT: "sent_count",
    State.FAILED: "failed_count",
    State.MISSING: "missing_count",
    State.SUPPRESSED: "suppressed_count",
    State.UNKNOWN: "unknown_count",
}
"""Where a delivery that came to an end is counted. Each is in exactly one of them."""


_KEY_BYTES: Final = 1024  # of a sort key


@dataclass(frozen=True, slots=True)
class Reference:
    """What a message names."""

    campaign_id: str
    contact_email: str


def reference(campaign_id: str, contact_email: str) -> str:
    """The body of a message: about 100 bytes, and nothing of the content."""
    return json.dumps({"campaign_id": campaign_id, "contact_email": contact_email}, separators=(",", ":"))


def parse_reference(body: str) -> Reference:
    """Raises ValueError for what is no reference; its text never holds the body."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise ValueError("the message is not JSON") from None
    keys = ("campaign_id", "contact_email")
    values = [str(found[key]) for key in keys if isinstance(found.get(key), str)] if isinstance(found, dict) else []
    if len(values) != len(keys) or not all(map(_may_be_a_key, values)):
        raise ValueError("the message names no campaign and contact")
    return Reference(*values)


def _may_be_a_key(value: str) -> bool:
    """What no table takes must not be asked of one: that would look like trouble with all of them."""
    try:
        return 0 < len(value.encode()) <= _KEY_BYTES
    except UnicodeEncodeError:
        return False


def content_seal(item: Mapping[str, Any]) -> str:
    """Of what a campaign mails, so that a change of it past the console is seen. Pure."""
    held = {name: str(item[name]) for name in CONTENT if item.get(name) not in (None, "")}
    return hashlib.sha256(json.dumps(held, sort_keys=True).encode()).hexdigest()


def deduplication_id(run_id: str, contact_email: str) -> str:
    """The same for the same run and person: a FIFO queue takes it once in five minutes."""
    return hashlib.sha256(f"{run_id}|{contact_email}".encode()).hexdigest()


def ended(item: Mapping[str, Any]) -> bool:
    """Has everybody who was queued come to an end? Not before all are queued, nor where a count is no number."""
    if not item.get("queued_at"):
        return False
    try:
        done = sum(int(item.get(name, 0)) for name in COUNTS.values())
        return done >= int(item.get("queued_count", item.get("total_contacts", 0)))
    except (TypeError, ValueError):
        return False


def completion(item: Mapping[str, Any], now: str) -> dict[str, Any]:
    """What update_item needs besides TableName to complete a campaign that has `ended`, in DynamoDB's own form. Its
    condition fails when a count changed meanwhile, or somebody else was faster. `now` is ISO 8601 in UTC."""
    values = {
        ":processing": {"S": Status.PROCESSING.value},
        ":queued": {"S": Status.QUEUED.value},
        ":completed": {"S": Status.COMPLETED.value},
        ":now": {"S": now},
    }
    conditions = ["#status IN (:processing, :queued)", "attribute_exists(queued_at)"]
    for number, name in enumerate(("queued_count", *COUNTS.values())):
        if name in item:
            values[f":c{number}"] = {"N": str(item[name])}
            conditions.append(f"{name} = :c{number}")
        else:
            conditions.append(f"attribute_not_exists({name})")
    return {
        "Key": {"campaign_id": {"S": str(item["campaign_id"])}},
        "UpdateExpression": "SET #status = :completed, completed_at = :now",
        "ConditionExpression": " AND ".join(conditions),
        "ExpressionAttributeNames": {"#status": "status"},
        "ExpressionAttributeValues": values,
    }
