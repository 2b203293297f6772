"""An operator's place at the stand-in: the backend as the console builds it, plans, and what a store remembers."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from backends.embedded.listmonk.people import User
from backends.embedded.listmonk.rows import MailingList
from backends.listmonk.platform import ListmonkBackend
from opsconsole.observation import Observation
from opsconsole.plan import Plan
from opsconsole.policy import Policy
from opsconsole.ports import Followed, Remembered, Started, Surroundings
from opsconsole.settings import Listmonk as Table
from opsconsole.settings import SecretFrom
from tests.support.listmonk import Listmonk

NAME = "lists"


def now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Desk:
    """One user of one console; `remembered` is what its store knows of starts."""

    listmonk: Listmonk
    backend: ListmonkBackend
    remembered: dict[str, Remembered] = field(default_factory=dict)

    @property
    def standin(self) -> Any:
        return self.listmonk.standin

    def campaign(self, name: str = "July", people: int = 6, **fields: Any) -> tuple[int, MailingList]:
        """A campaign of its own list; its slug is its name in small letters."""
        to = self.standin.add_list(f"{name} list")
        self.standin.add_people(to, people, prefix=name.lower())
        return self.standin.add_campaign(name, to, **fields), to

    def plan(self, slug: str = "july", **changed: Any) -> Plan:
        """What a dry run and a plan would have made of it now."""
        control = self.backend.control
        campaign = control.find(slug)
        at = now()
        made = Plan(
            slug=slug,
            environment="prod",
            carrier=NAME,
            host=self.backend.identity(),
            digests=control.digests(campaign),
            audience=control.audience(campaign) or 0,
            subject=campaign.subject,
            due=None,
            latest_start=None,
            window="",
            dry_run_seq=1,
            dry_run_at=at,
            planned_by="mara",
            created_at=at,
            expires_at=at + timedelta(minutes=30),
        )
        return replace(made, **changed)

    def start(self, plan: Plan, by: str = "mara") -> Started:
        """As the console does: on record first."""
        self.remembered[plan.slug] = Remembered(
            run_id=plan.run_id, attempt=plan.attempt, at=now(), by=by, planned=plan.audience
        )
        return self.backend.start(plan, by)

    def follow(self, slug: str = "july", offset: int = 0, seconds: float = 20.0) -> tuple[Followed, str]:
        """To its end, bounded; with what was handed over."""
        heard: list[bytes] = []
        stop = threading.Event()
        timer = threading.Timer(seconds, stop.set)
        timer.start()
        try:
            followed = self.backend.follow(slug, 1, offset, heard.append, stop)
        finally:
            timer.cancel()
        return followed, b"".join(heard).decode()

    def seen(self, slug: str = "july") -> Observation:
        """What the board is told of it."""
        report = self.backend.observe()
        assert not report.trouble, report.trouble
        return next(o for o in report.observations if o.slug == slug)


def desk(
    listmonk: Listmonk,
    tmp_path: Path,
    user: User | None = None,
    clock: Callable[[], datetime] = now,
    **table: Any,
) -> Desk:
    """With the manager's token unless another user is given."""
    user = user or listmonk.manager
    token = tmp_path / f"token-{user.username}"
    token.write_text(user.token)
    token.chmod(0o600)
    settings = Table(
        url=listmonk.url,
        user=user.username,
        token=SecretFrom(file=str(token)),
        refresh_every="1 s",
        **table,
    )
    remembered: dict[str, Remembered] = {}
    around = Surroundings(
        policy=Policy(),
        data_dir=tmp_path / "data",
        clock=clock,
        started=lambda carrier, slug: remembered.get(slug),
    )
    return Desk(listmonk, ListmonkBackend(NAME, settings, around), remembered)
