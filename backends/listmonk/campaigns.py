"""A campaign as listmonk has it, and the slug by which the console knows it. Pure."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from backends.listmonk.reading import (
    identifier,
    instant,
    items,
    mapping,
    number,
    plain,
    reference,
    text,
    texts,
    whole,
)
from opsconsole.campaign import is_slug
from opsconsole.ports import Trouble

DRAFT: Final = "draft"
SCHEDULED: Final = "scheduled"
RUNNING: Final = "running"
PAUSED: Final = "paused"
CANCELLED: Final = "cancelled"
FINISHED: Final = "finished"
COMING: Final = (DRAFT, SCHEDULED)
"""The states in which nothing was sent."""
ACTIVE: Final = (DRAFT, SCHEDULED, RUNNING, PAUSED)
OVER: Final = (CANCELLED, FINISHED)
"""The states that are never left."""

LARGEST_BODY: Final = 16 * 1024 * 1024  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """As read at one instant. `lists` are (id, name) with None for one that was deleted, `media` (id, file name),
    `headers` (name, value). `updated` is its `updated_at` to the letter: what else could tell a change.

    `body` is "" where it wasn't asked for. `to_send` is 0 until listmonk first picked it up; `sent` counts what the
    mail server accepted, and may exceed it by those who subscribed meanwhile.
    """

    id: int
    uuid: str
    name: str
    status: str
    subject: str = ""
    sender: str = ""
    type: str = "regular"
    messenger: str = "email"
    content_type: str = ""
    template_id: int | None = None
    lists: tuple[tuple[int | None, str], ...] = ()
    tags: tuple[str, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    media: tuple[tuple[int | None, str], ...] = ()
    send_at: datetime | None = None
    started_at: datetime | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    updated: str = ""
    to_send: int = 0
    sent: int = 0
    views: int = 0
    clicks: int = 0
    bounces: int = 0
    body: str = ""
    altbody: str = ""

    @property
    def list_ids(self) -> tuple[int, ...]:
        """Those of its lists that still are."""
        return tuple(number for number, _ in self.lists if number is not None)

    def tagged(self, prefix: str) -> str:
        """What stands behind the first tag that begins so; "" for none."""
        for tag in self.tags:
            if prefix and tag.lower().startswith(prefix.lower()):
                return tag[len(prefix) :].strip()
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """How a running campaign gets on. Rates in messages a minute: `rate` of the last one, from memory."""

    id: int
    to_send: int
    sent: int
    started_at: datetime | None
    updated_at: datetime | None
    rate: float
    net_rate: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """The campaigns of one look. `unread` names rows that can't be read, and why; they hide no others."""

    campaigns: tuple[Campaign, ...]
    unread: tuple[str, ...] = ()


def read_campaigns(rows: Iterable[Any]) -> Listed:
    found, unread = [], []
    for place, row in enumerate(rows, 1):
        try:
            found.append(read_campaign(row))
        except Trouble as trouble:
            unread.append(f"Row {place} of its campaigns is left out: {trouble.what}")
    return Listed(campaigns=tuple(found), unread=tuple(unread))


def read_campaign(row: Any) -> Campaign:
    """One row of the list, or one campaign. Raises Trouble, and nothing else, for what isn't one."""
    it = mapping(row, "campaign")
    return Campaign(
        id=identifier(it),
        uuid=text(it, "uuid", 64),
        name=text(it, "name"),
        status=text(it, "status", 40),
        subject=text(it, "subject"),
        sender=text(it, "from_email"),
        type=text(it, "type", 40) or "regular",
        messenger=text(it, "messenger", 200),
        content_type=text(it, "content_type", 40),
        template_id=reference(it, "template_id"),
        lists=tuple(_named(entry, "name") for entry in items(it.get("lists"), "lists")),
        tags=texts(it.get("tags"), "tags"),
        headers=tuple(pair for entry in items(it.get("headers"), "headers") for pair in _headers(entry)),
        media=tuple(_named(entry, "filename") for entry in items(it.get("media"), "media")),
        send_at=instant(it, "send_at"),
        started_at=instant(it, "started_at"),
        created_at=instant(it, "created_at"),
        updated_at=instant(it, "updated_at"),
        updated=text(it, "updated_at", 64),
        to_send=whole(it, "to_send"),
        sent=whole(it, "sent"),
        views=whole(it, "views"),
        clicks=whole(it, "clicks"),
        bounces=whole(it, "bounces"),
        body=text(it, "body", LARGEST_BODY),
        altbody=text(it, "altbody", LARGEST_BODY),
    )


def read_running(row: Any) -> Running:
    it = mapping(row, "running/stats")
    return Running(
        id=identifier(it),
        to_send=whole(it, "to_send"),
        sent=whole(it, "sent"),
        started_at=instant(it, "started_at"),
        updated_at=instant(it, "updated_at"),
        rate=number(it, "rate"),
        net_rate=number(it, "net_rate"),
    )


def slugs(campaigns: Iterable[Campaign], slug_tag: str = "slug:") -> dict[str, Campaign]:
    """Each campaign by its slug: what its tag says, else its name as a slug, else its number.

    Of several with one slug the one with the lowest id keeps it, and the others get `-ID` behind it.
    """
    found: dict[str, Campaign] = {}
    later = []
    for campaign in sorted(campaigns, key=lambda c: c.id):
        slug = own_slug(campaign, slug_tag)
        if slug in found:
            later.append((slug, campaign))
        else:
            found[slug] = campaign
    for slug, campaign in later:
        ending = f"-{campaign.id}"
        name = slug[: 64 - len(ending)] + ending
        # somebody's own slug may be just that; the id in front is nobody else's
        found[name if name not in found else f"{campaign.id}-{slug}"[:64]] = campaign
    return found


def own_slug(campaign: Campaign, slug_tag: str = "slug:") -> str:
    """The slug a campaign would have if it were alone."""
    tagged = campaign.tagged(slug_tag).lower()
    if is_slug(tagged):
        return tagged
    return slugified(campaign.name) or f"campaign-{campaign.id}"


def slugified(name: str) -> str:
    """A name as a slug: `Où est l'été?` is `ou-est-l-ete`; "" where nothing is left of it."""
    ascii_only = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9._]+", "-", ascii_only).strip("-._")[:64].rstrip("-._")
    return slug if is_slug(slug) else ""


def _named(entry: Any, key: str) -> tuple[int | None, str]:
    it = mapping(entry, key)
    return reference(it, "id"), text(it, key)


def _headers(entry: Any) -> Iterable[tuple[str, str]]:
    """listmonk keeps headers as a list of objects with one key each."""
    if isinstance(entry, Mapping):
        yield from ((plain(str(key)), plain(str(value))) for key, value in entry.items() if isinstance(value, str))
