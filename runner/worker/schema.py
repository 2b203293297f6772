"""The tables and messages of the pipeline: names, keys, states. What the console and the workers agree on.

EmailCampaigns, one item a campaign (key `campaign_id`). Those who write campaigns set CAMPAIGN; the rest is the
console's and the workers'. EmailContacts, one item a person (key `email`). EmailDeliveries, one item a campaign and
person (keys `campaign_id`, `contact_email`): whoever makes it may send, and nobody else ever.
"""

import hashlib
import json
from enum import StrEnum
from typing import Final

CAMPAIGN: Final = (
    "campaign_id",
    "campaign_name",
    "subject",
    "body",  # HTML, a jinja2 template over the contact's fields
    "text",  # optional: the plain-text part
    "from_email",
    "reply_to",
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
    "status",
    "run_id",  # of the console's plan
    "started_by",
    "started_at",
    "paused",  # a boolean: obeyed by the worker at the very next message
    "paused_by",
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


class Status(StrEnum):
    """Of a campaign. One written by others may lack a draft: the seed's own pipeline queues at once."""

    DRAFT = "draft"
    QUEUED = "queued"  # claimed: its references are being queued, nobody was mailed so far
    PROCESSING = "processing"
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


DELIVERY: Final = ("campaign_id", "contact_email", "state", "worker", "begun_at", "ended_at", "message_id", "error")


def reference(campaign_id: str, contact_email: str) -> str:
    """The body of a message: about 100 bytes, and nothing of the content."""
    return json.dumps({"campaign_id": campaign_id, "contact_email": contact_email}, separators=(",", ":"))


def deduplication_id(run_id: str, contact_email: str) -> str:
    """The same for the same run and person: a FIFO queue takes it once in five minutes."""
    return hashlib.sha256(f"{run_id}|{contact_email}".encode()).hexdigest()
