"""What a pre-flight of a listmonk campaign looks at, gathered now. The judges are in checks.py and letter.py."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, TypeVar

from backends.listmonk import audience
from backends.listmonk.audience import Audience
from backends.listmonk.campaigns import Campaign, Running
from backends.listmonk.client import COUNTS, LOOKS_IN, Client
from backends.listmonk.control import Control
from backends.listmonk.kept import Entry
from backends.listmonk.looks import IMPORTS, Looks
from backends.listmonk.system import Config, Import, MailList, Profile, Tuning
from opsconsole.ports import OutOfReach, Refused, Trouble
from opsconsole.settings import Listmonk

T = TypeVar("T")

LOG: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListmonkFacts:
    """`campaign` was read with its body. What couldn't be had is None, and named in `unread` with the reason.

    `rendered` is the mail as listmonk renders it for its demonstration subscriber. `log` is that of the last hour.
    `others` are running now, by name.
    """

    campaign: Campaign
    digests: Mapping[str, str]
    limits: Listmonk
    config: Config
    profile: Profile
    tuning: Tuning | None = None
    importing: Import | None = None
    lists: tuple[MailList, ...] | None = None
    audience: Audience = audience.UNKNOWN
    others: tuple[tuple[str, Running], ...] = ()
    log: tuple[Entry, ...] | None = None
    rendered: str | None = None
    clock_offset: float | None = None
    unread: Mapping[str, str] = field(default_factory=dict)


def gather(client: Client, looks: Looks, control: Control, settings: Listmonk, slug: str) -> ListmonkFacts:
    """Raises Trouble when the campaign, or who asks, can't be read: without these nothing can be judged."""
    campaign, profile, config = looks.find(slug), client.profile(), client.config()
    unread: dict[str, str] = {}

    def had(name: str, ask: Callable[[], T]) -> T | None:
        try:
            return ask()
        except OutOfReach:
            raise
        except Trouble as trouble:
            unread[name] = str(trouble)
            return None

    lists = had("lists", client.lists)
    running = client.running()
    log = had("log", lambda: _log(control)) if profile.may(*LOOKS_IN) else None
    return ListmonkFacts(
        campaign=campaign,
        digests=looks.digests(campaign),
        limits=settings,
        config=config,
        profile=profile,
        tuning=had("settings", client.tuning) if profile.may(*LOOKS_IN) else None,
        importing=had("import", client.importing) if profile.may(*IMPORTS) else None,
        lists=lists,
        audience=had("audience", lambda: count(looks, campaign, profile, lists)) or audience.UNKNOWN,
        others=tuple((_name(looks, it), it) for it in running if it.id != campaign.id),
        log=log,
        rendered=had("preview", lambda: client.preview(campaign.id)),
        clock_offset=client.clock_offset,
        unread=unread,
    )


def count(looks: Looks, campaign: Campaign, profile: Profile, lists: tuple[MailList, ...] | None) -> Audience:
    """Exactly where the token may, else at most by its lists. Raises Trouble."""
    if profile.may(*COUNTS):
        try:
            people = looks.audience(campaign)
        except Refused:  # the count itself was refused; its lists are still good for a bound
            people = None
        if people is not None:
            return Audience(people=people, exact=True)
    return audience.at_most(campaign, lists) if lists is not None else audience.UNKNOWN


def _log(control: Control) -> tuple[Entry, ...]:
    control.log()
    if control.log_trouble:
        raise Trouble(control.log_trouble)
    return control.kept.entries(control.now - LOG)


def _name(looks: Looks, it: Running) -> str:
    campaigns = looks.seen.campaigns.values() if looks.seen else ()
    return next((one.name for one in campaigns if one.id == it.id), f"campaign {it.id}")
