"""Its database: rows that outlive the process, and the statements that its code runs over them.

Every method is one statement: it takes the lock, so two requests never see half of one. Between two statements
anything may happen, as there: a status is checked in one and written in another.
"""

import uuid
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from dataclasses import replace
from datetime import datetime
from threading import RLock
from typing import Any

from backends.embedded.listmonk import rules
from backends.embedded.listmonk.rows import (
    Bounce,
    Campaign,
    CampaignList,
    MailingList,
    Subscriber,
    Subscription,
    Template,
)

DEFAULT_TEMPLATE = """<!doctype html>
<html><body>
{{ template "content" . }}
<p><a href="{{ UnsubscribeURL }}">Unsubscribe</a></p>
{{ TrackView }}
</body></html>
"""


class Missing(Exception):
    """No row has this id."""


class Database:
    """`clock` is the database's own, which needn't agree with anybody's."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.clock = clock
        self.lock = RLock()
        self.campaigns: dict[int, Campaign] = {}
        self.lists: dict[int, MailingList] = {}
        self.subscribers: dict[int, Subscriber] = {}
        self.members: dict[int, dict[int, Subscription]] = {}  # by list, then by subscriber
        self.bounces: list[Bounce] = []
        self.seen: list[tuple[str, int, datetime, str]] = []  # "views" or "clicks", the campaign, when, the link
        self.templates: dict[int, Template] = {}
        self._by_email: dict[str, int] = {}
        self._last: dict[str, int] = {}
        self.add_template("Default template", DEFAULT_TEMPLATE, is_default=True)

    def _next(self, table: str) -> int:
        self._last[table] = self._last.get(table, 0) + 1
        return self._last[table]

    # --- what others put in

    def add_list(self, name: str, **fields: Any) -> MailingList:
        with self.lock:
            now = self.clock()
            row = MailingList(self._next("lists"), str(uuid.uuid4()), now, now, name, **fields)
            self.lists[row.id] = row
            self.members[row.id] = {}
            return row

    def delete_list(self, number: int) -> None:
        with self.lock:
            if self.lists.pop(number, None) is None:
                raise Missing
            del self.members[number]
            for campaign in self.campaigns.values():
                campaign.lists = [
                    replace(row, list_id=None) if row.list_id == number else row for row in campaign.lists
                ]

    def add_subscriber(self, email: str, name: str = "", **fields: Any) -> Subscriber:
        """Raises ValueError where the address is there already."""
        with self.lock:
            if email.lower() in self._by_email:
                raise ValueError("E-mail already exists.")
            now = self.clock()
            row = Subscriber(self._next("subscribers"), str(uuid.uuid4()), now, now, email.lower(), name, **fields)
            self.subscribers[row.id] = row
            self._by_email[row.email] = row.id
            return row

    def delete_subscriber(self, number: int) -> None:
        with self.lock:
            row = self.subscribers.pop(number, None)
            if row is None:
                raise Missing
            del self._by_email[row.email]
            for members in self.members.values():
                members.pop(number, None)

    def by_email(self, email: str) -> Subscriber | None:
        with self.lock:
            number = self._by_email.get(email.strip().lower())
            return None if number is None else self.subscribers[number]

    def subscribe(self, subscriber: int, to: int, status: str = "unconfirmed") -> None:
        with self.lock:
            now = self.clock()
            self.members[to][subscriber] = Subscription(subscriber, to, status, now, now)

    def blocklist(self, subscriber: int) -> None:
        """Every subscription is unsubscribed with it."""
        with self.lock:
            now = self.clock()
            row = self.subscribers[subscriber]
            row.status, row.updated_at = "blocklisted", now
            for members in self.members.values():
                if subscriber in members:
                    members[subscriber].status, members[subscriber].updated_at = "unsubscribed", now

    def add_template(self, name: str, body: str, **fields: Any) -> Template:
        with self.lock:
            now = self.clock()
            row = Template(self._next("templates"), name, body, now, now, **fields)
            self.templates[row.id] = row
            return row

    def template_body(self, number: int | None) -> str:
        """That template's, or the default one's when it is gone."""
        with self.lock:
            default = next((row.body for row in self.templates.values() if row.is_default), "")
            row = self.templates.get(number or 0)
            return row.body if row else default

    # --- campaigns

    def campaign(self, number: int) -> Campaign:
        """A copy, as a row that was read."""
        with self.lock:
            if number not in self.campaigns:
                raise Missing
            return deepcopy(self.campaigns[number])

    def campaign_bounces(self, number: int) -> int:
        with self.lock:
            return sum(bounce.campaign_id == number for bounce in self.bounces)

    def insert_campaign(self, fields: Mapping[str, Any], lists: Iterable[int]) -> Campaign:
        """Always a draft; nothing is counted yet."""
        with self.lock:
            now = self.clock()
            row = Campaign(self._next("campaigns"), str(uuid.uuid4()), now, now, **fields)
            row.lists = self._named(lists)
            self.campaigns[row.id] = row
            return deepcopy(row)

    def update_campaign(self, number: int, fields: Mapping[str, Any], lists: Iterable[int]) -> None:
        with self.lock:
            row = self.campaigns[number]
            for name, value in fields.items():
                setattr(row, name, value)
            row.status = rules.edited_status(row.status, row.send_at)
            row.lists = self._named(lists)
            row.updated_at = self.clock()

    def _named(self, lists: Iterable[int]) -> list[CampaignList]:
        """Ids that no list has are left out without a word."""
        return [CampaignList(number, self.lists[number].name) for number in lists if number in self.lists]

    def update_status(self, number: int, status: str) -> None:
        with self.lock:
            if row := self.campaigns.get(number):
                row.status = rules.stored_status(status, row.send_at)
                row.updated_at = self.clock()

    def delete_campaign(self, number: int) -> None:
        """In any status."""
        with self.lock:
            if self.campaigns.pop(number, None) is None:
                raise Missing

    def audience(self, campaign: Campaign) -> list[int]:
        """Ids of the subscribers it mails, each once, ascending."""
        with self.lock:
            found: set[int] = set()
            for row in campaign.lists:
                of = self.lists.get(row.list_id or 0)
                if of is not None:
                    members = self.members[of.id].items()
                    found.update(
                        number
                        for number, subscription in members
                        if rules.mailed(campaign.type, self.subscribers[number], subscription, of)
                    )
            return sorted(found)

    # --- the statements of the sending engine

    def next_campaigns(self, sent: Mapping[int, int]) -> list[Campaign]:
        """What is to be picked up: not those in memory, whose `sent` is flushed with the same statement.

        A campaign without audience is given out, and its row isn't touched.
        """
        with self.lock:
            now = self.clock()
            for number, count in sent.items():
                if row := self.campaigns.get(number):
                    row.sent += count
            due = []
            for row in self.campaigns.values():
                late = row.status == "scheduled" and row.send_at is not None and now >= row.send_at
                if row.id in sent or not (row.status == "running" or late):
                    continue
                if people := self.audience(row):
                    row.to_send, row.max_subscriber_id = len(people), people[-1]
                    row.status, row.started_at = "running", row.started_at or now
                due.append(deepcopy(row))
            return due

    def next_subscribers(self, number: int, limit: int) -> list[Subscriber]:
        """The next batch, with the checkpoint moved to its end before anything is sent; none unless running."""
        with self.lock:
            row = self.campaigns.get(number)
            if row is None or row.status != "running":
                return []
            ahead = [one for one in self.audience(row) if row.last_subscriber_id < one <= row.max_subscriber_id]
            batch = ahead[:limit]
            if batch:
                row.last_subscriber_id, row.updated_at = batch[-1], self.clock()
            return [replace(self.subscribers[one]) for one in batch]

    def update_counts(self, number: int, sent: int, last: int) -> None:
        """At the end of a drain: what was sent since the last flush; the checkpoint only where `last` is known."""
        with self.lock:
            if row := self.campaigns.get(number):
                row.sent += sent
                row.last_subscriber_id = last if last > 0 else row.last_subscriber_id
                row.updated_at = self.clock()

    # --- what comes back

    def record_seen(self, kind: str, campaign: int, url: str = "") -> None:
        """A view, or a click on `url`."""
        with self.lock:
            self.seen.append((kind, campaign, self.clock(), url))
            row = self.campaigns[campaign]
            row.views, row.clicks = row.views + (kind == "views"), row.clicks + (kind == "clicks")

    def record_bounce(
        self, subscriber: int, campaign: int | None, kind: str, source: str, meta: Mapping[str, Any],
        actions: Mapping[str, Mapping[str, Any]],
    ) -> bool:  # fmt: skip
        """Whether a row was written; the action of `actions` follows when the threshold is reached."""
        with self.lock:
            row, action = self.subscribers[subscriber], actions[kind]
            earlier = sum(one.subscriber_id == subscriber and one.type == kind for one in self.bounces)
            if not rules.bounce_counts(kind, earlier, row.status, int(action["count"])):
                return False
            made = Bounce(self._next("bounces"), kind, source, self.clock(), subscriber, campaign, dict(meta))
            self.bounces.append(made)
            if earlier + 1 >= int(action["count"]) and action["action"] == "blocklist":
                self.blocklist(subscriber)
            return True
