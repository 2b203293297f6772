"""What listmonk tells of itself: who asks, what is in force, how it sends, its lists. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from backends.listmonk.reading import (
    identifier,
    items,
    mapping,
    number,
    reference,
    text,
    texts,
    truth,
    whole,
)

SUPER_ADMIN: Final = 1  # the role that may do everything, whatever is listed for it
_SPAN: Final = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ns|us|µs|ms|s|m|h)")
_UNITS: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Whose token it is. `lists` are the permissions on single lists: (list id, permission)."""

    username: str
    role: str
    role_id: int | None
    permissions: frozenset[str]
    lists: frozenset[tuple[int, str]] = frozenset()

    @classmethod
    def read(cls, value: Any) -> "Profile":
        it = mapping(value, "profile")
        role = mapping(it.get("user_role") or {}, "user_role")
        single = mapping(it.get("list_role") or {}, "list_role")
        lists = set()
        for entry in items(single.get("lists"), "list_role"):
            one = mapping(entry, "list_role")
            for permission in texts(one.get("permissions"), "permissions"):
                lists.add((identifier(one), permission))
        return cls(
            username=text(it, "username", 200),
            role=text(role, "name", 200),
            role_id=reference(role, "id") or reference(it, "user_role_id"),
            permissions=frozenset(texts(role.get("permissions"), "permissions")),
            lists=frozenset(lists),
        )

    def may(self, *any_of: str) -> bool:
        """Whether one of these permissions is there."""
        return self.role_id == SUPER_ADMIN or bool(self.permissions.intersection(any_of))


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What is in force. `needs_restart`: settings were saved that aren't."""

    version: str
    root_url: str
    messengers: tuple[str, ...]
    needs_restart: bool
    language: str = ""

    @classmethod
    def read(cls, value: Any) -> "Config":
        it = mapping(value, "config")
        return cls(
            version=text(it, "version", 60),
            root_url=text(it, "root_url"),
            messengers=texts(it.get("messengers"), "messengers"),
            needs_restart=truth(it, "needs_restart"),
            language=text(it, "lang", 20),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpBlock:
    """One mail server that it sends by; its password isn't kept."""

    name: str
    uuid: str
    enabled: bool
    host: str
    port: int
    max_conns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """How it sends: messages a second are at most `concurrency` × `message_rate`. 0 `max_send_errors` never stops.

    `window` is the sliding window, in which `window_rate` messages may go; None where it is off.
    """

    batch_size: int
    concurrency: int
    message_rate: int
    max_send_errors: int
    window: timedelta | None
    window_rate: int
    smtp: tuple[SmtpBlock, ...]
    bounces: bool = False
    sender: str = ""

    @classmethod
    def read(cls, value: Any) -> "Tuning":
        it = mapping(value, "settings")
        span = go_duration(text(it, "app.message_sliding_window_duration", 40))
        return cls(
            batch_size=whole(it, "app.batch_size"),
            concurrency=whole(it, "app.concurrency"),
            message_rate=int(number(it, "app.message_rate")),
            max_send_errors=whole(it, "app.max_send_errors"),
            window=span if truth(it, "app.message_sliding_window") else None,
            window_rate=whole(it, "app.message_sliding_window_rate"),
            smtp=tuple(_smtp(entry) for entry in items(it.get("smtp"), "smtp")),
            bounces=truth(it, "bounce.enabled"),
            sender=text(it, "app.from_email"),
        )

    @property
    def rate(self) -> float:
        """Messages a second at most; the real rate is below it, as each worker waits after its second's share."""
        return float(self.concurrency * self.message_rate)

    def seconds_for(self, people: int) -> float:
        """How long so many take at least, by rate and window."""
        if people <= 0 or not self.rate:
            return 0.0
        at_rate = people / self.rate
        if self.window is None or not self.window_rate:
            return at_rate
        full = (people - 1) // self.window_rate  # windows that are full before the last
        return max(at_rate, full * self.window.total_seconds() + (people - full * self.window_rate) / self.rate)


@dataclass(frozen=True, slots=True, kw_only=True)
class MailList:
    """A list. `statuses` count its subscriptions by their state, blocklisted people among them; None: not told."""

    id: int
    name: str
    type: str = ""
    optin: str = "single"
    status: str = "active"
    tags: tuple[str, ...] = ()
    count: int | None = None
    statuses: Mapping[str, int] | None = None

    @classmethod
    def read(cls, value: Any) -> "MailList":
        it = mapping(value, "list")
        told = it.get("subscriber_statuses")
        counted = mapping(told, "subscriber_statuses") if told is not None else None
        return cls(
            id=identifier(it),
            name=text(it, "name"),
            type=text(it, "type", 40),
            optin=text(it, "optin", 40) or "single",
            status=text(it, "status", 40) or "active",
            tags=texts(it.get("tags"), "tags"),
            count=whole(it, "subscriber_count") if it.get("subscriber_count") is not None else None,
            statuses={key[:40]: whole(counted, key) for key in counted} if counted is not None else None,
        )

    @property
    def mailed_at_most(self) -> int | None:
        """How many of it a regular campaign may mail at most; None where that isn't told."""
        if self.statuses is not None:
            if self.optin == "double":
                return self.statuses.get("confirmed", 0)
            return sum(number for state, number in self.statuses.items() if state != "unsubscribed")
        return self.count


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """An import of subscribers; `going` while it changes who would be mailed."""

    name: str
    status: str
    imported: int
    total: int

    @classmethod
    def read(cls, value: Any) -> "Import":
        it = mapping(value, "import")
        return cls(
            name=text(it, "name", 200),
            status=text(it, "status", 40),
            imported=whole(it, "imported"),
            total=whole(it, "total"),
        )

    @property
    def going(self) -> bool:
        return self.status in ("importing", "stopping")


def go_duration(written: str) -> timedelta | None:
    """A span as Go writes it, such as `1h0m0s`; None for what is none."""
    parts = _SPAN.findall(written)
    if not parts or "".join(a + b for a, b in parts) != written:
        return None
    seconds = sum(float(amount) * _UNITS[unit] for amount, unit in parts)
    return timedelta(seconds=min(seconds, 1e9))


def _smtp(entry: Any) -> SmtpBlock:
    it = mapping(entry, "smtp")
    return SmtpBlock(
        name=text(it, "name", 200),
        uuid=text(it, "uuid", 64),
        enabled=truth(it, "enabled"),
        host=text(it, "host", 300),
        port=whole(it, "port"),
        max_conns=whole(it, "max_conns"),
    )
