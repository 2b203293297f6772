"""What the console may do on the dashboard, as the dashboard tells it, and where the token for it is kept.

Of the token itself nothing is looked at: where it comes from, who else could read that, when it ends.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from backends.keeping import address, kept, way
from backends.rest import NotThere, Purpose
from opsconsole.mapping import MappingError, reader
from opsconsole.ports import Access, Trouble
from opsconsole.redact import mask_addresses, redact
from opsconsole.settings import Dashboard, DashboardAccount

ASKING = Purpose("Asking who we are there", "What the token may do isn't known.")
ENDS_SOON = timedelta(days=14)
TOO_MUCH = frozenset({"*", "admin", "administrator", "superuser", "owner", "root"})


def look(get: Callable[[str, Purpose], Any], settings: Dashboard, now: datetime) -> tuple[Access, ...]:
    """The account and scope by the dashboard's word, then the token's keeping. Raises Trouble, as `get` does."""
    where = address(settings.url)
    told = _asked(get, settings.account) if settings.account.path else None
    return (_account(told, where, now), way(settings.url, where), *kept(settings.token, "the dashboard"))


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
