"""What the console may do on the dashboard, as the dashboard tells it, and where the token for it is kept.

Of the token itself nothing is looked at: where it comes from, who else could read that, when it ends.
"""

import os
import pwd
import shutil
import stat
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from backends.rest import LOOPBACK, NotThere, Purpose
from opsconsole.mapping import MappingError, reader
from opsconsole.ports import Access, Trouble
from opsconsole.redact import mask_addresses, redact
from opsconsole.settings import Dashboard, DashboardAccount, SecretFrom

ASKING = Purpose("Asking who we are there", "What the token may do isn't known.")
ENDS_SOON = timedelta(days=14)
TOO_MUCH = frozenset({"*", "admin", "administrator", "superuser", "owner", "root"})


def look(get: Callable[[str, Purpose], Any], settings: Dashboard, now: datetime) -> tuple[Access, ...]:
    """The account and scope by the dashboard's word, then the token's keeping. Raises Trouble, as `get` does."""
    where = _address(settings.url)
    told = _asked(get, settings.account) if settings.account.path else None
    return (_account(told, where, now), _line(settings.url, where), *_kept(settings.token))


def _asked(get: Callable[[str, Purpose], Any], account: DashboardAccount) -> dict[str, Any] | None:
    """By our names; None when this dashboard doesn't tell."""
    try:
        told = get(account.path, ASKING)
        return {name: reader(getattr(account, name))(told) for name in ("name", "roles", "scopes", "expires")}
    except NotThere:
        return None
    except MappingError as error:
        raise Trouble(
            f"{ASKING.doing} failed: the expressions of dashboard.account don't fit ({error}).",
            ASKING.means,
            "Correct them in the config.",
        ) from error


def _account(told: dict[str, Any] | None, where: str, now: datetime) -> Access:
    if told is None:
        scope = "this dashboard doesn't tell what our token may do"
        return Access(kind="role", name="our account", where=where, scope=scope)
    roles, scopes = _words(told.get("roles")), _words(told.get("scopes"))
    ends = _instant(told.get("expires"))
    parts = (
        f"roles {', '.join(roles)}" if roles else "",
        f"may {', '.join(scopes)}" if scopes else "",
        f"until {ends:%Y-%m-%d %H:%M} UTC" if ends else "no end told",
    )
    wide = [word for word in (*roles, *scopes) if word.lower() in TOO_MUCH or word.endswith((":*", ".*"))]
    trouble = ""
    if ends and ends <= now:
        trouble = "The token has ended: outcomes can't be recorded. Renew it."
    elif ends and ends - now <= ENDS_SOON:
        trouble = f"The token ends in {max((ends - now).days, 0)} days: renew it before."
    elif wide:
        trouble = f"It may do more than the console needs ({', '.join(wide)}): give it a token of its own."
    name = _text(told.get("name")) or "our account"
    return Access(kind="role", name=name, where=where, scope="; ".join(filter(None, parts)), trouble=trouble)


def _line(url: str, where: str) -> Access:
    plain = urlsplit(url).scheme == "http" and urlsplit(url).hostname not in LOOPBACK
    return Access(
        kind="credential",
        name="the way to it",
        where=where,
        scope="HTTP, not encrypted" if urlsplit(url).scheme == "http" else "HTTPS",
        trouble="The token travels unencrypted: whoever listens has it. Use https." if plain else "",
    )


def _kept(token: SecretFrom | None) -> Iterator[Access]:
    if token is None:
        yield Access(kind="credential", name="token", where="nowhere", scope="the config names none")
    elif token.env:
        there = "set" if os.environ.get(token.env) else "not set"
        yield Access(
            kind="credential",
            name="token",
            where=f"environment variable {token.env}",
            scope=f"{there}; its value is never shown",
            trouble="" if there == "set" else "It isn't set: the dashboard can't be asked.",
        )
    elif token.file:
        yield _file("token", Path(token.file).expanduser(), "its content is never shown", 0o077)
    elif token.cmd:
        program = shutil.which(token.cmd[0])
        if program is None:
            why = "There is no such program: the dashboard can't be asked."
            yield Access(kind="credential", name="token", where=f"command {token.cmd[0]}", trouble=why)
        else:
            yield _file("token", Path(program), "a command that prints it; its output is never shown", 0o022)


def _file(name: str, path: Path, scope: str, open_to_others: int) -> Access:
    try:
        status = path.stat()
    except OSError as error:
        why = f"It can't be looked at: {error.strerror}."
        return Access(kind="credential", name=name, where=f"this console: {path}", scope=scope, trouble=why)
    others = status.st_mode & open_to_others
    mode = stat.S_IMODE(status.st_mode)
    reach = "can have it. Set it to 0600." if open_to_others & 0o044 else "can change it. Set it to 0755."
    return Access(
        kind="credential",
        name=name,
        where=f"this console: {path}",
        scope=scope,
        owner=_owner(status.st_uid),
        mode=stat.filemode(status.st_mode),
        since=datetime.fromtimestamp(status.st_mtime, UTC),
        trouble=f"It has mode {mode:04o}: others on this machine {reach}" if others else "",
    )


def _words(value: Any) -> list[str]:
    found = value.split() if isinstance(value, str) else value if isinstance(value, list) else []
    return [text for word in found[:40] if (text := _text(word))]


def _text(value: Any) -> str:
    """A name the dashboard told. What looks like a secret, or is far too long for a name, is no name."""
    return mask_addresses(redact(value.strip()))[:60] if isinstance(value, str) else ""


def _instant(value: Any) -> datetime | None:
    try:
        instant = datetime.fromisoformat(value) if isinstance(value, str) else None
        return instant.astimezone(UTC) if instant and instant.tzinfo else None
    except (ValueError, OverflowError):  # the latter beside the calendar's first and last day
        return None


def _address(url: str) -> str:
    """Without what a url may hide."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}"


def _owner(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
