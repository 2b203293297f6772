"""The stand-in, as tests and the demo hold it.

with StandIn(waits=QUICK) as listmonk:
    user = listmonk.add_user("reader", READ)
    people = listmonk.add_list("July")
    listmonk.add_people(people, 100)
    number = listmonk.add_campaign("July", people)
    ...  # listmonk.url, user.username, user.token
"""

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from threading import RLock
from typing import Any

from backends.embedded.listmonk import settings
from backends.embedded.listmonk.app import App, Import
from backends.embedded.listmonk.database import Database
from backends.embedded.listmonk.engine import Waits
from backends.embedded.listmonk.people import READ, User
from backends.embedded.listmonk.post import Post
from backends.embedded.listmonk.rows import Campaign, MailingList, Subscriber
from backends.embedded.listmonk.server import Faults, HttpSide

QUICK = Waits(scan=0.03, second=0.02, push=0.3, reload=0.02, down=0.02)


class StandIn:
    """`start()` (or `with`), then `url`. What lasts is `database` and `settings`; `log` and the engine are of the
    process and go with it.

    `clock` is the real time by default; `offset` puts the platform's clocks, and what it writes, beside it. A
    sibling is another process on the same database, which should be a passive one.
    """

    def __init__(
        self, *, clock: Callable[[], datetime] | None = None, waits: Waits | None = None, post: Post | None = None,
        passive: bool = False, sibling_of: "StandIn | None" = None,
    ) -> None:  # fmt: skip
        self.offset = timedelta(0)
        self.post = post or Post()
        self._clock = clock or (lambda: datetime.now(UTC))
        self._lock = RLock()
        self._on = False
        stored = settings.defaults("http://lists.example.com")
        database = sibling_of.database if sibling_of else Database(self.now)
        self.app = App(database, stored, self.post, self.now, waits or Waits(), self.restart, passive)
        if sibling_of:
            self.app.users, self.app.stored = sibling_of.app.users, sibling_of.app.stored
        self._http = HttpSide(self.app)

    def __enter__(self) -> "StandIn":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # --- the process

    def start(self) -> None:
        """A second time, after `kill`, on the same port."""
        with self._lock:
            if not self._on:
                self.app.boot()
                self._http.start()
                self._on = True

    def kill(self) -> None:
        """At once, as kill -9: what was fetched and not sent is lost, and so is the log."""
        with self._lock:
            if self._on:
                self._on = False
                self._http.stop()
                self.app.halt()

    stop = kill

    def restart(self) -> None:
        """As after a change of settings or a reload: nothing is drained. Does nothing when it isn't on."""
        with self._lock:
            if self._on:
                self.kill()
                time.sleep(self.app.waits.down)
                self.start()

    def restart_passive(self, passive: bool = True) -> None:
        """As `--passive`: everything works, and no campaign is ever picked up."""
        self.app.passive = passive
        self.restart()

    def hold_scan(self, held: bool = True) -> None:
        """No scan until it is let go: nothing is picked up, and `sent` isn't flushed."""
        self.app.scan_held = held

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.port}"

    @property
    def is_up(self) -> bool:
        with self._lock:
            return self._on

    @property
    def faults(self) -> Faults:
        return self._http.faults

    @property
    def requests(self) -> list[tuple[str, str, int]]:
        """Method, path and status of everything that was asked."""
        return self._http.requests

    @property
    def database(self) -> Database:
        return self.app.database

    @property
    def log(self) -> list[str]:
        return self.app.log.lines()

    @property
    def settings(self) -> dict[str, Any]:
        """As stored. Change them with `configure`."""
        return self.app.stored

    def now(self) -> datetime:
        return self._clock() + self.offset

    def configure(self, changed: Mapping[str, Any], *, in_force: bool = True) -> None:
        """Settings by their dotted keys; not in force, they are saved and wait for a restart."""
        self.app.stored = {**self.app.stored, **changed}
        if in_force:
            self.restart()
        else:
            self.app.needs_restart = True

    # --- rows

    def add_user(
        self, username: str, permissions: Sequence[str] = READ, *,
        lists: Mapping[int, tuple[str, ...]] | None = None, role_id: int = 3,
    ) -> User:  # fmt: skip
        number = len(self.app.users) + 2
        token = secrets.token_urlsafe(36)
        user = User(number, username, token, tuple(permissions), self.now(), "Ops", role_id, dict(lists or {}))
        self.app.users.append(user)
        return user

    def add_list(self, name: str, **fields: Any) -> MailingList:
        return self.database.add_list(name, **fields)

    def add_person(
        self, email: str, *lists: MailingList, name: str = "", subscription: str = "confirmed",
        status: str = "enabled", attribs: Mapping[str, Any] | None = None,
    ) -> Subscriber:  # fmt: skip
        """A subscriber of these lists; a known address is only subscribed."""
        row = self.database.by_email(email) or self.database.add_subscriber(
            email, name or email.partition("@")[0].title(), status=status, attribs=dict(attribs or {})
        )
        for of in lists:
            self.database.subscribe(row.id, of.id, subscription)
        return row

    def add_people(self, to: MailingList, count: int, *, prefix: str = "p") -> list[Subscriber]:
        """`p1@example.com` and so on."""
        return [self.add_person(f"{prefix}{number}@example.com", to) for number in range(1, count + 1)]

    def add_campaign(self, name: str, *lists: MailingList, **fields: Any) -> int:
        """Its id. Any column may be given, status and counts too: no rule is asked."""
        filled = {
            "subject": name,
            "from_email": "Lists <lists@example.com>",
            "body": "<p>Hello {{ .Subscriber.FirstName }}</p>",
            "content_type": "html",
            "template_id": 1,
            **fields,
        }
        return self.database.insert_campaign({"name": name, **filled}, [of.id for of in lists]).id

    def campaign(self, number: int) -> Campaign:
        """The row as it is now, with what the API never tells."""
        return self.database.campaign(number)

    def bounce(
        self, email: str, campaign: int | None = None, kind: str = "hard", source: str = "ses",
        meta: Mapping[str, Any] | None = None,
    ) -> bool:  # fmt: skip
        """As one that came in; whether it was recorded, which it isn't once the person is blocklisted."""
        person = self.database.by_email(email)
        if person is None:
            return False
        actions = self.settings["bounce.actions"]
        return self.database.record_bounce(person.id, campaign, kind, source, meta or {}, actions)

    def importing(self, total: int, imported: int, *, name: str = "people.csv", status: str = "importing") -> None:
        self.app.importing = Import(status, name, total, imported)

    # --- waiting

    def until(self, seen: Callable[[], object], seconds: float = 10.0) -> None:
        """Waits for something to become true. Raises AssertionError when it doesn't."""
        end = time.monotonic() + seconds
        while not seen():
            assert time.monotonic() < end, "it never came:\n" + "\n".join(self.log[-20:])
            time.sleep(0.005)

    def until_status(self, number: int, *statuses: str, seconds: float = 10.0) -> None:
        self.until(lambda: self.campaign(number).status in statuses, seconds)

    def until_logged(self, text: str, seconds: float = 10.0) -> None:
        self.until(lambda: any(text in line for line in self.log), seconds)
