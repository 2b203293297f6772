"""API users: their tokens, the permissions of their role, and those of their list role."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from backends.embedded.listmonk.rows import stamp

SUPER_ADMIN = 1  # the role that no permission is asked of

READ = (
    "campaigns:get_all",
    "campaigns:get_analytics",
    "lists:get_all",
    "subscribers:get_all",
    "bounces:get",
    "settings:get",
)
SEND = (*READ, "campaigns:send")
MANAGE = (
    *SEND,
    "campaigns:manage_all",
    "lists:manage_all",
    "subscribers:manage",
    "subscribers:sql_query",
    "templates:get",
    "templates:manage",
    "settings:manage",
    "settings:maintain",
    "tx:send",
    "bounces:manage",
    "webhooks:post_bounce",
)
PERMISSIONS = (
    *("lists:get_all", "lists:manage_all", "subscribers:get", "subscribers:get_all", "subscribers:manage"),
    *("subscribers:import", "subscribers:sql_query", "tx:send", "campaigns:get", "campaigns:get_all"),
    *("campaigns:get_analytics", "campaigns:manage", "campaigns:manage_all", "campaigns:send", "bounces:get"),
    *("bounces:manage", "webhooks:post_bounce", "media:get", "media:manage", "templates:get"),
    *("templates:manage", "users:get", "users:manage", "roles:get", "roles:manage", "settings:get"),
    *("settings:manage", "settings:maintain"),
)


class BadHeader(Exception):
    """An Authorization header that it can't read; the message is its own."""


@dataclass(slots=True)
class User:
    """`lists` is the list role: for each list id, of `list:get` and `list:manage`."""

    id: int
    username: str
    token: str = field(repr=False)
    permissions: tuple[str, ...]
    created_at: datetime
    role: str = "Ops"
    role_id: int = 3
    lists: Mapping[int, tuple[str, ...]] = field(default_factory=dict)

    def may(self, permission: str) -> bool:
        return self.role_id == SUPER_ADMIN or permission in self.permissions

    def sees_all_lists(self, *, manage: bool = False) -> bool:
        return self.may("lists:manage_all") or (not manage and self.may("lists:get_all"))

    def permitted_lists(self) -> set[int]:
        """Those of the list role, to get or to manage."""
        return {number for number, permissions in self.lists.items() if permissions}

    def document(self) -> dict[str, Any]:
        """As GET /api/profile tells it."""
        at = stamp(self.created_at)
        roles = [{"id": number, "permissions": list(names)} for number, names in self.lists.items()]
        return {
            "id": self.id,
            "created_at": at,
            "updated_at": at,
            "username": self.username,
            "password": None,
            "password_login": False,
            "email": f"{self.username}@api",
            "name": self.username,
            "type": "api",
            "status": "enabled",
            "avatar": None,
            "twofa_type": "none",
            "loggedin_at": None,
            "user_role_id": self.role_id,
            "user_role": {"id": self.role_id, "name": self.role, "permissions": list(self.permissions)},
            "list_role": {"id": 20 + self.id, "name": "Lists", "lists": roles} if roles else None,
        }


def credentials(header: str) -> tuple[str, str]:
    """User and token of an Authorization header. The scheme's name is case-sensitive. Raises BadHeader."""
    if header.startswith("token"):
        pair = header.removeprefix("token").strip(" ")
    elif header.startswith("Basic"):
        try:
            pair = base64.b64decode(header.removeprefix("Basic").strip(" "), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise BadHeader("invalid Base64 value in Basic Authorization header") from error
    else:
        raise BadHeader("unknown Authorization scheme")
    user, colon, token = pair.partition(":")
    if not colon:
        raise BadHeader("api_key:token missing")
    if not user or not token:
        raise BadHeader("empty `api_key` or `token`")
    return user, token


def known(users: Iterable[User], username: str, token: str) -> User | None:
    """The user whose token this is."""
    digest = hashlib.sha256(token.encode()).digest()
    for user in users:
        if user.username == username and hmac.compare_digest(hashlib.sha256(user.token.encode()).digest(), digest):
            return user
    return None
