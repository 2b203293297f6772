"""The one place where backends are built from the configuration and handed to the console."""

import getpass
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opsconsole.board import Board, assemble
from opsconsole.config import Loaded, duration
from opsconsole.ports import AnchorKeeper, Recorder, Source, Surroundings
from opsconsole.settings import Environment

if TYPE_CHECKING:  # imported when the console is built: the last known board is painted before that
    from backends.notify import Heartbeat
    from opsconsole.audit.rules import StoreRules
    from opsconsole.audit.store import AuditStore
    from opsconsole.audit.tidings import Ear
    from opsconsole.console import Console
    from opsconsole.settings import Notify
    from opsconsole.watch import Watched
    from opsconsole.watching import Signs, Watcher
    from screens.loud import Loud


def utc_now() -> datetime:
    return datetime.now(UTC)


def remembered(loaded: Loaded, clock: Callable[[], datetime] = utc_now) -> Board:
    """The board of the last known state: quick, asks nobody, imports no backend."""
    from opsconsole import snapshot

    reports = {report.source: report for report in snapshot.load(snapshot_path(loaded))}
    environment = loaded.environment
    known = {"console", *environment.blasthost, *environment.listmonk, *environment.serverless}
    known |= {*environment.backend, *(["dashboard"] if environment.dashboard else [])}
    return assemble(reports, loaded.policy, clock(), known - reports.keys())


def snapshot_path(loaded: Loaded) -> Path:
    return loaded.data_dir / f"last-known-{loaded.name}.json"


def attention_path(loaded: Loaded, who: str = "watch") -> Path:
    """What was told by whom: the screens' own memory says nothing of who was paged."""
    return loaded.data_dir / f"attention-{who}-{loaded.name}.json"


def mark_path(loaded: Loaded) -> Path:
    """Where `opsconsole watch` leaves its sign of life."""
    return loaded.data_dir / f"watching-{loaded.name}.json"


def store_path(loaded: Loaded) -> Path:
    return loaded.data_dir / "audit.db"


def key_path(loaded: Loaded) -> Path:
    return loaded.data_dir / "audit.key"


def known_hosts_path(loaded: Loaded) -> Path:
    """The console's own host keys, written by `opsconsole host trust`."""
    return loaded.data_dir / "known_hosts"


def build(loaded: Loaded, *, read_only: bool = False, clock: Callable[[], datetime] = utc_now) -> "Console":
    """The console for one environment. Connects to nothing yet."""
    from opsconsole.audit.memory import last_start
    from opsconsole.audit.tidings import CRITICAL, SAFETY
    from opsconsole.audit.words import ConsoleSource
    from opsconsole.console import Console
    from opsconsole.runs import Identity
    from opsconsole.watch import Watch, Watched
    from opsconsole.witness import Witness

    loaded.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    settings = loaded.settings
    name = settings.operator.name or getpass.getuser()
    identity = Identity(operator=name, session=secrets.token_hex(4), environment=loaded.name)
    console: Console

    def store() -> "AuditStore":
        return console.store()

    around = Surroundings(
        policy=loaded.policy,
        data_dir=loaded.data_dir,
        clock=clock,
        started=lambda carrier, slug: last_start(store(), loaded.name, carrier, slug),
    )
    watched = (*_backends(loaded, around), Watched(ConsoleSource(store, clock, loaded.name), duration("30 s")))
    told = _notifiers(loaded)
    witness = Witness(
        {w.source.name: w.source for w in watched if isinstance(w.source, AnchorKeeper)},
        store=store,
        identity=lambda: identity,
        clock=clock,
        policy=loaded.policy,
        machine=lambda name: console.machine(name),
        connected=lambda name: _connected_since(console.connection(name)),
        told=tuple(e.destination for e in ears(loaded.environment.notify) if e.hears(SAFETY, CRITICAL)),
    )
    console = Console(
        environment=loaded.environment.label or loaded.name,
        settings=loaded.environment,
        policy=loaded.policy,
        role=settings.operator.role,
        read_only=read_only,
        local_zone=settings.operator.timezone or local_zone(),
        identity=lambda: identity,
        watched=watched,
        hosts=loaded.environment.blasthost,
        store=lambda: open_store(loaded, clock),
        watch=Watch(watched, clock, snapshot_path(loaded)),
        clock=clock,
        recorders={**witness.recorders(), **told},
        witness=witness,
    )
    return console


def _connected_since(connection: Mapping[str, Any]) -> object:
    return connection.get("since") if connection.get("state") == "connected" else None


def open_store(loaded: Loaded, clock: Callable[[], datetime] = utc_now) -> "AuditStore":
    """The audit store of this configuration. Raises AuditUnavailable, or Refused when its password can't be had."""
    from opsconsole.audit.store import AuditStore

    audit = loaded.settings.audit
    password = ""
    if audit.password is not None:
        from backends.secret import Secret

        password = Secret(audit.password, "audit store's password").reveal()
    place = audit.url or store_path(loaded)
    store = AuditStore(place, audit_key(loaded), clock=clock, rules=store_rules(loaded), password=password)
    if store.put_back:
        _tell_put_back(loaded, store)
    return store


def _tell_put_back(loaded: Loaded, store: "AuditStore") -> None:
    """What keeps records append-only was off, and is on again: that stays open until somebody has looked."""
    from opsconsole.audit.records import PROTECTION_OFF
    from opsconsole.errors import AuditUnavailable
    from opsconsole.ports import Refused
    from opsconsole.runs import Identity

    identity = Identity(loaded.settings.operator.name or getpass.getuser(), "", loaded.name)
    with suppress(AuditUnavailable, Refused):  # a store that takes no record has a finding of its own
        store.intent(identity.event(PROTECTION_OFF, put_back=list(store.put_back)))


def audit_key(loaded: Loaded) -> bytes:
    """The key of the audit store, made when there is none. Raises AuditUnavailable."""
    if loaded.settings.audit.key == "keyring":
        from opsconsole.audit import keychain

        return keychain.load_or_create(str(loaded.data_dir), key_path(loaded))
    from opsconsole.audit import key

    return key.load_or_create(key_path(loaded))


def store_rules(loaded: Loaded) -> "StoreRules":
    """One store serves every environment, so it knows the rules of each."""
    from opsconsole.audit.rules import StoreRules

    environments = loaded.settings.environments
    return StoreRules(
        four_eyes=frozenset(name for name, e in environments.items() if e.policy.four_eyes),
        keepers={name: tuple(e.blasthost) for name, e in environments.items()},
        told={name: ears(e.notify) for name, e in environments.items()},
        outbox_kept_for=duration(loaded.settings.audit.outbox_kept_for),
    )


def ears(notify: "Mapping[str, Notify]") -> "tuple[Ear, ...]":
    """Who is told of what. A pager isn't called for what merely happened, unless it is asked to be."""
    from opsconsole.audit.tidings import ATTENTION, DECISION, SAFETY, SEND, Ear

    called, all_of_it = (ATTENTION, SAFETY), (ATTENTION, SAFETY, SEND, DECISION)
    return tuple(
        Ear(name, frozenset(t.on or (called if t.kind in ("pagerduty", "alertmanager") else all_of_it)), t.at_least)
        for name, t in notify.items()
    )


def loudness(loaded: Loaded) -> "Loud":
    """How the screens of this machine go loud, and what they have rung for."""
    from opsconsole.alive import missed
    from opsconsole.lookout import Lookout
    from screens.loud import Loud

    remembers = Lookout(loaded.name, attention_path(loaded, "screens"))
    return Loud(loaded.settings.screens.loud, os.environ, remembers, partial(missed, mark_path(loaded)))


def dead_man(loaded: Loaded) -> "Heartbeat | None":
    """The address that is fetched while somebody looks; None when none is."""
    table = loaded.environment.dead_man
    if table is None or table.url is None:
        return None
    from backends.notify import Heartbeat

    return Heartbeat(table.url)


def signs(loaded: Loaded, console: "Console", watcher: "Watcher", say: Callable[[str], None]) -> "Signs":
    """The signs of life of a watcher. A read-only one tells nobody, so nobody may rely on it."""
    from opsconsole.watching import Signs

    table = loaded.environment.dead_man
    if console.read_only or table is None:
        mark = None if console.read_only else mark_path(loaded)
        return Signs(watcher, mark=mark, clock=console.clock, say=say)
    every = duration(table.every)
    if (heartbeat := dead_man(loaded)) is not None:
        beat = heartbeat.beat
    else:
        from backends.notify import Alertmanager

        manager = Alertmanager(table.alertmanager, loaded.environment.notify[table.alertmanager])
        beat = partial(manager.beat, loaded.name, 3 * every)
    blind = duration(table.blind_after)
    return Signs(
        watcher, mark=mark_path(loaded), clock=console.clock, say=say, beat=beat, every=every, blind_after=blind
    )


def _notifiers(loaded: Loaded) -> dict[str, Recorder]:
    """By outbox destination, who is told of sends and of what needs eyes."""
    if not loaded.environment.notify:
        return {}
    from backends.notify import notifier

    made = (notifier(name, settings) for name, settings in loaded.environment.notify.items())
    return {recorder.name: recorder for recorder in made}


def _backends(loaded: Loaded, around: Surroundings) -> "list[Watched]":
    from opsconsole.watch import Watched

    found = []
    environment = loaded.environment
    if environment.dashboard is not None:
        from backends.dashboard import DashboardBackend

        table = environment.dashboard
        dashboard = DashboardBackend(
            "dashboard", table, fresh_for=duration(table.fresh_for), timeout=duration(table.timeout)
        )
        found.append(Watched(dashboard, duration(table.refresh_every)))
    if environment.blasthost:
        from backends.blasthost.host import BlastHostBackend

        for name, settings in environment.blasthost.items():
            host = BlastHostBackend(
                name,
                settings,
                policy=loaded.policy,
                own_known_hosts=known_hosts_path(loaded),
                cache_dir=loaded.data_dir,
            )
            found.append(Watched(host, duration(settings.refresh_every)))
    found += [Watched(source, every) for source, every in _others(environment, around)]
    return found


def _others(environment: Environment, around: Surroundings) -> "Iterator[tuple[Source, timedelta]]":
    """The platforms, and the backends of other packages."""
    if environment.listmonk:
        from backends.listmonk.platform import ListmonkBackend

        for name, listmonk in environment.listmonk.items():
            made = _built(name, partial(ListmonkBackend, name, listmonk, around), around)
            yield made, duration(listmonk.refresh_every)
    if environment.serverless:
        from backends.serverless.pipeline import ServerlessBackend

        for name, serverless in environment.serverless.items():
            made = _built(name, partial(ServerlessBackend, name, serverless, around), around)
            yield made, duration(serverless.refresh_every)
    if environment.backend:
        from backends import plugins

        for name, backend in environment.backend.items():
            made = _built(name, partial(plugins.made, name, backend, around), around)
            yield made, duration(backend.refresh_every)


def _built(name: str, make: Callable[[], Source], around: Surroundings) -> Source:
    """The system, or what says in its place why it can't be had: the others are looked at all the same."""
    from opsconsole.ports import Refused
    from opsconsole.unbuilt import Unbuilt

    try:
        return make()
    except Refused as error:
        return Unbuilt(name, error, around.clock)


@cache
def local_zone() -> str:
    """The operator's IANA zone, by TZ or the machine's own setting; "" when neither tells."""
    if (zone := os.environ.get("TZ", "").lstrip(":")) and "/" in zone:
        return zone
    try:
        target = os.path.realpath("/etc/localtime")
    except OSError:
        return ""
    return target.partition("zoneinfo/")[2]
