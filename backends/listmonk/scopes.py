"""What a token is to be allowed, and what for: as little as will do. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from backends.listmonk.system import Profile


@dataclass(frozen=True, slots=True)
class Scope:
    """One of `any_of` is enough."""

    any_of: tuple[str, ...]
    what_for: str


READING: Final = (
    Scope(("campaigns:get_all", "campaigns:get"), "to see campaigns"),
    Scope(("lists:get_all",), "to see lists, and to act on campaigns of any list"),
    Scope(("settings:get",), "to read its log and how it sends"),
)
SENDING: Final = (Scope(("campaigns:send",), "to start, pause, resume and cancel"),)
NEEDED: Final = (*READING, *SENDING)
OPTIONAL: Final = (
    Scope(("subscribers:sql_query",), "the audience is only told as at most so many"),
    Scope(("bounces:get",), "bounces are counted, not told by class"),
    Scope(("templates:get",), "a template that is edited after the dry run isn't noticed"),
    Scope(("subscribers:import",), "an import that is going isn't noticed"),
    Scope(("campaigns:manage_all", "campaigns:manage"), "there are no test mails, and no date can be taken off"),
)
TOO_MUCH: Final = (
    "users:manage",
    "roles:manage",
    "subscribers:manage",
    "lists:manage_all",
    "templates:manage",
    "media:manage",
    "settings:maintain",
    "subscribers:import",
)
"""What nothing here needs. `settings:manage` is for rate and fallback, `subscribers:import` only to see imports."""


def lacking(profile: Profile, scopes: Iterable[Scope]) -> tuple[Scope, ...]:
    return tuple(scope for scope in scopes if not profile.may(*scope.any_of))


def beyond(profile: Profile) -> tuple[str, ...]:
    """Permissions that nothing here needs."""
    return tuple(name for name in TOO_MUCH if name in profile.permissions and name != "subscribers:import")
