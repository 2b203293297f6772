"""Carries holds to the hosts, as marks that bind there also when no console runs.

What a host is told is the state in the store at that instant, not what was decided when the item was put: a release
that overtook its hold can't be undone by a late delivery.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from opsconsole.audit.records import OutboxItem
from opsconsole.audit.scopes import EVERYTHING, HOST, hold_key
from opsconsole.audit.store import AuditStore
from opsconsole.audit.words import hold_of
from opsconsole.observation import Hold
from opsconsole.ports import HoldKeeper, Trouble

PREFIX = "hold:"
ALL = "ALL"
TURNS = 5  # so often may the state in the store change while one mark is made


class HoldMarks:
    """Makes the marks on one host agree with the holds in the store. A Recorder, for the outbox."""

    def __init__(self, host: str, keeper: HoldKeeper, store: Callable[[], AuditStore], environment: str) -> None:
        self.name = f"{PREFIX}{host}"
        self._host, self._keeper, self._store, self._environment = host, keeper, store, environment

    def record(self, payload: Mapping[str, Any]) -> None:
        scope = str(payload["scope"])
        everywhere = (EVERYTHING, f"host:{self._host}")
        scopes, mark = (everywhere, ALL) if scope in everywhere else ((scope,), scope)
        wanted = self._wanted(scopes)
        for _ in range(TURNS):
            self._keeper.put_hold(mark, wanted)
            # Another console may have put an older word in the meantime; whoever puts last looks once more.
            if (now := self._wanted(scopes)) == wanted:
                return
            wanted = now
        raise Trouble(f"The hold on {scope} changes faster than {self._host} can be told", "", "It is tried again")

    def _wanted(self, scopes: Iterable[str]) -> Hold | None:
        held = self._store().last_by_campaign(("hold", "release"), self._environment)
        return next((hold for scope in scopes if (hold := hold_of(held.get(hold_key(scope)), scope))), None)


def hold_marks(
    keepers: Mapping[str, HoldKeeper], store: Callable[[], AuditStore], environment: str
) -> dict[str, HoldMarks]:
    marks = (HoldMarks(host, keeper, store, environment) for host, keeper in keepers.items())
    return {mark.name: mark for mark in marks}


def told_of(items: Iterable[OutboxItem], scope: str, hosts: Iterable[str]) -> dict[str, bool]:
    """By host that has to know of a hold on `scope`, whether nothing about it waits to be told there."""
    waits = {item.destination for item in items if item.payload.get("scope") == scope}
    return {
        host: f"{PREFIX}{host}" not in waits
        for host in hosts
        if not scope.startswith(HOST) or scope == f"{HOST}{host}"
    }


def say_unkept(scope: str, carriers: Iterable[str]) -> tuple[str, ...]:
    """A sentence for each carrier concerned that keeps no holds: what it starts by itself isn't stopped by one."""
    return tuple(
        f"{name} keeps no holds of its own: this console sends nothing there, but what is scheduled or queued "
        "there goes out all the same. Switch its trigger off, or pause it"
        for name in carriers
        if not scope.startswith(HOST) or scope == f"{HOST}{name}"
    )


def say_untold(items: Iterable[OutboxItem]) -> tuple[str, ...]:
    """A sentence for each host and scope that waits to be told, by the newest item."""
    newest = {
        (item.destination, str(item.payload.get("scope", ""))): item
        for item in items
        if item.destination.startswith(PREFIX)
    }
    said = []
    for (destination, scope), item in newest.items():
        host, what = destination.removeprefix(PREFIX), "release" if item.payload.get("released") else "hold"
        means = "it still refuses to send" if what == "release" else "its cron can still start it"
        because = f" ({item.last_error})" if item.last_error else ""
        said.append(f"The {what} of {scope} is recorded; {host} hasn't been told: {means}{because}")
    return tuple(said)
