"""What the tables of the systems mean: names that can be told apart, and addresses, spans and bounds in reason."""

import re
from collections.abc import Iterator

from opsconsole.config import Place, dotted, span
from opsconsole.schedule import ScheduleError, load_zone
from opsconsole.settings import Backend, Environment, Listmonk, Serverless

RESERVED = ("console", "dashboard")
KINDS = ("blasthost", "listmonk", "serverless", "backend")
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
Problems = Iterator[tuple[Place, str]]


def systems(environment: Environment, place: Place) -> Problems:
    """Every system's name and table. One name means one system: records, holds and commands know it by that."""
    taken: dict[str, str] = {}
    for kind in KINDS:
        for name in getattr(environment, kind):
            here = (*place, kind, name)
            if name in RESERVED or not _NAME.fullmatch(name):
                word = "host" if kind == "blasthost" else "system"
                yield here, f"{name!r} can't name a {word}: use a-z, 0-9, dot, dash; not {' or '.join(RESERVED)}"
            if name in taken:
                yield here, f"{name!r} names a system of {taken[name]} already: give each system its own name"
            taken.setdefault(name, kind)
    for name, table in environment.listmonk.items():
        yield from _listmonk(table, (*place, "listmonk", name))
    for name, pipeline in environment.serverless.items():
        yield from _serverless(pipeline, (*place, "serverless", name))
    for name, other in environment.backend.items():
        yield from _other(other, (*place, "backend", name))


def _listmonk(table: Listmonk, place: Place) -> Problems:
    for key in ("fresh_for", "refresh_every", "list_every", "timeout", "start_grace", "archived_after"):
        yield from span(table, key, place)
    yield from _address(table.url, "url", place)
    yield from _zone(table.timezone, place)
    if not table.user.strip():
        yield (*place, "user"), f"{dotted((*place, 'user'))} is empty: name the API user that the token belongs to"
    for key in ("series_tag", "slug_tag"):
        if not getattr(table, key).strip():
            yield (*place, key), f"{dotted((*place, key))} is empty: every tag would begin with it"
    if table.series_tag == table.slug_tag:
        yield (
            (*place, "slug_tag"),
            f"{dotted((*place, 'slug_tag'))} is the same as series_tag: a tag means one thing",
        )
    for key in ("min_audience", "max_audience", "provider_rate", "lost_by_crash"):
        if getattr(table, key) < 0:
            yield (*place, key), f"{dotted((*place, key))} can't be below 0"
    if 0 < table.max_audience < table.min_audience:
        yield (
            (*place, "max_audience"),
            f"{dotted((*place, 'max_audience'))} is below min_audience: nothing fits both",
        )
    for tester in table.testers:
        if "@" not in tester:
            yield (*place, "testers"), f"{dotted((*place, 'testers'))}: each must be an address"


def _serverless(table: Serverless, place: Place) -> Problems:
    for key in ("fresh_for", "refresh_every", "timeout", "backlog_after"):
        yield from span(table, key, place)
    yield from _zone(table.timezone, place)
    yield from _share(table.quota_warn, "quota_warn", place)
    if table.endpoint:
        yield from _address(table.endpoint, "endpoint", place)
    for key in ("region", "campaigns_table", "contacts_table", "deliveries_table", "queue"):
        if not getattr(table, key).strip():
            yield (*place, key), f"{dotted((*place, key))} is empty"
    if table.pages < 1:
        yield (*place, "pages"), f"{dotted((*place, 'pages'))} must be at least 1, or nothing is read"


def _other(table: Backend, place: Place) -> Problems:
    yield from span(table, "refresh_every", place)
    if not table.kind.strip():
        yield (*place, "kind"), f"{dotted((*place, 'kind'))} is empty: name the entry point of its package"


def _address(url: str, key: str, place: Place) -> Problems:
    if not url.startswith(("http://", "https://")):
        yield (*place, key), f"{dotted((*place, key))} must begin with https:// or http://"


def _zone(zone: str, place: Place) -> Problems:
    if zone:
        try:
            load_zone(zone)
        except ScheduleError as error:
            yield (*place, "timezone"), f"{dotted((*place, 'timezone'))}: {error}"


def _share(value: float, key: str, place: Place) -> Problems:
    if not 0 < value <= 1:
        yield (*place, key), f"{dotted((*place, key))} is a share: over 0 and at most 1, such as 0.8 for 80 %"
