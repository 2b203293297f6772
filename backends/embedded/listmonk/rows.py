"""The rows of its database, and how its API writes them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

STATUSES = ("draft", "running", "scheduled", "paused", "cancelled", "finished")
CONTENT_TYPES = ("richtext", "html", "plain", "markdown", "visual")
NO_UUID = "00000000-0000-0000-0000-000000000000"


@dataclass(slots=True)
class MailingList:
    id: int
    uuid: str
    created_at: datetime
    updated_at: datetime
    name: str
    type: str = "private"  # public, private or temporary
    optin: str = "single"  # or double
    status: str = "active"  # or archived
    tags: list[str] = field(default_factory=list)
    description: str = ""


@dataclass(slots=True)
class Subscriber:
    id: int
    uuid: str
    created_at: datetime
    updated_at: datetime
    email: str
    name: str
    attribs: dict[str, Any] = field(default_factory=dict)
    status: str = "enabled"  # disabled, blocklisted


@dataclass(slots=True)
class Subscription:
    subscriber_id: int
    list_id: int
    status: str  # unconfirmed, confirmed or unsubscribed
    created_at: datetime
    updated_at: datetime


@dataclass(slots=True)
class CampaignList:
    """A list of a campaign. The name stays when the list is deleted; the id doesn't."""

    list_id: int | None
    name: str


@dataclass(slots=True)
class Campaign:
    id: int
    uuid: str
    created_at: datetime
    updated_at: datetime
    name: str
    subject: str
    from_email: str
    type: str = "regular"  # or optin
    body: str = ""
    body_source: str | None = None
    altbody: str | None = None
    content_type: str = "richtext"
    send_at: datetime | None = None
    status: str = "draft"
    tags: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    attribs: dict[str, Any] = field(default_factory=dict)
    messenger: str = "email"
    template_id: int | None = None
    lists: list[CampaignList] = field(default_factory=list)
    media: list[dict[str, Any]] = field(default_factory=list)
    archive: bool = False
    archive_slug: str | None = None
    archive_template_id: int | None = None
    archive_meta: dict[str, Any] = field(default_factory=dict)
    to_send: int = 0
    sent: int = 0
    started_at: datetime | None = None
    last_subscriber_id: int = 0  # these two its API never tells
    max_subscriber_id: int = 0
    views: int = 0
    clicks: int = 0

    def document(self, bounces: int, *, body: bool = True, source: bool = True) -> dict[str, Any]:
        return {
            "id": self.id,
            "created_at": stamp(self.created_at),
            "updated_at": stamp(self.updated_at),
            "views": self.views,
            "clicks": self.clicks,
            "bounces": bounces,
            "lists": [{"id": row.list_id, "name": row.name} for row in self.lists],
            "media": list(self.media),
            "started_at": stamp(self.started_at),
            "to_send": self.to_send,
            "sent": self.sent,
            "uuid": self.uuid,
            "type": self.type,
            "name": self.name,
            "subject": self.subject,
            "from_email": self.from_email,
            "body": self.body if body else "",
            "body_source": self.body_source if source else None,
            "altbody": self.altbody,
            "send_at": stamp(self.send_at),
            "status": self.status,
            "content_type": self.content_type,
            "tags": list(self.tags),
            "headers": list(self.headers),
            "attribs": dict(self.attribs),
            "template_id": self.template_id,
            "messenger": self.messenger,
            "archive": self.archive,
            "archive_slug": self.archive_slug,
            "archive_template_id": self.archive_template_id,
            "archive_meta": dict(self.archive_meta),
        }


@dataclass(slots=True)
class Template:
    id: int
    name: str
    body: str
    created_at: datetime
    updated_at: datetime
    type: str = "campaign"  # campaign_visual, tx
    subject: str = ""
    body_source: str | None = None
    is_default: bool = False

    def document(self, *, body: bool = True) -> dict[str, Any]:
        return {
            "id": self.id,
            "created_at": stamp(self.created_at),
            "updated_at": stamp(self.updated_at),
            "name": self.name,
            "type": self.type,
            "subject": self.subject,
            "body": self.body if body else "",
            "body_source": self.body_source if body else None,
            "is_default": self.is_default,
        }


@dataclass(slots=True)
class Bounce:
    id: int
    type: str  # hard, soft or complaint
    source: str
    created_at: datetime
    subscriber_id: int
    campaign_id: int | None
    meta: Mapping[str, Any] = field(default_factory=dict)


def stamp(at: datetime | None) -> str | None:
    """RFC 3339 as Go writes it: the fraction without its closing zeros, Z for UTC."""
    if at is None:
        return None
    whole, fraction = at.strftime("%Y-%m-%dT%H:%M:%S"), f"{at.microsecond:06d}".rstrip("0")
    offset = at.strftime("%z")
    zone = "Z" if at.utcoffset() == UTC.utcoffset(None) else f"{offset[:3]}:{offset[3:5]}"
    return f"{whole}{'.' + fraction if fraction else ''}{zone}"
