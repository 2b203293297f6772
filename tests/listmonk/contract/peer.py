"""A listmonk that is only known by its address and a token: the stand-in, or a real one.

Everything is made and taken away over HTTP, with names of its own; nothing else there is touched. Mail goes to
addresses of example.com only.
"""

import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from opsconsole.settings import Listmonk, SecretFrom

SUPER_ADMIN = 1


@dataclass(frozen=True)
class Draft:
    """A campaign with a list and subscribers of its own."""

    id: int
    name: str
    list_id: int
    emails: tuple[str, ...]


class Peer:
    """`scan` is the longest time, in seconds, until its engine looks again. Close it: that cleans up."""

    def __init__(self, url: str, user: str, token: str, *, scan: float, real: bool) -> None:
        self.url, self.user, self.token = url.rstrip("/"), user, token
        self.scan, self.real = scan, real
        self.verify = self.url.startswith("https:")  # with plain HTTP there is no store of certificates to load
        self.prefix = f"opsconsole-contract-{secrets.token_hex(4)}"
        self.client = httpx.Client(
            base_url=self.url, headers={"Authorization": f"token {user}:{token}"}, timeout=30,
            verify=self.verify,
        )  # fmt: skip
        self._made: list[tuple[str, int]] = []
        role = self.data("GET", "/api/profile")["user_role"]
        self._all = role["id"] == SUPER_ADMIN
        self._permissions = set(role["permissions"] or [])

    def close(self) -> None:
        """Takes away what was made, campaigns first; one that runs is cancelled before."""
        for path, number in reversed(self._made):
            if path == "/api/campaigns":
                with suppress(httpx.HTTPError):
                    self.put_status(number, "cancelled")
            with suppress(httpx.HTTPError):
                self.client.delete(f"{path}/{number}")
        self.client.close()

    def settings(self, folder: Path, **table: Any) -> Listmonk:
        """The console's table for it, with the token in a file of `folder`."""
        file = folder / "token"
        file.write_text(self.token + "\n")
        file.chmod(0o600)
        return Listmonk(url=self.url, user=self.user, token=SecretFrom(file=str(file)), **table)

    # --- what the token may do

    def may(self, *permissions: str) -> bool:
        """Any of them."""
        return self._all or bool(self._permissions & set(permissions))

    def need(self, *permissions: str) -> None:
        """Skips the test unless the token has one of them."""
        if not self.may(*permissions):
            pytest.skip(f"the token of {self.user} lacks {' or '.join(permissions)}")

    def need_to_make(self) -> None:
        self.need("campaigns:manage_all", "campaigns:manage")
        self.need("lists:manage_all")
        self.need("subscribers:manage")

    # --- asking

    def data(self, method: str, path: str, **options: Any) -> Any:
        """`data` of an answer that must be a good one."""
        reply = self.client.request(method, path, **options)
        assert reply.status_code == 200, (reply.status_code, reply.text[:300])
        return reply.json()["data"]

    def refusal(self, method: str, path: str, **options: Any) -> int:
        """The status of an answer that isn't a good one, with a message in it."""
        reply = self.client.request(method, path, **options)
        assert isinstance(reply.json()["message"], str)
        return reply.status_code

    def campaign(self, number: int) -> dict[str, Any]:
        found: dict[str, Any] = self.data("GET", f"/api/campaigns/{number}")
        return found

    def put_status(self, number: int, status: str) -> httpx.Response:
        return self.client.put(f"/api/campaigns/{number}/status", json={"status": status})

    def until(self, seen: Callable[[], object], scans: float = 6) -> None:
        """Waits for something that its engine does within so many scans."""
        end = time.monotonic() + max(scans * self.scan, 5.0)
        while not seen():
            assert time.monotonic() < end, "it never came"
            time.sleep(min(self.scan / 5, 0.5))

    # --- making

    def new_list(self, name: str = "list", **fields: Any) -> int:
        body = {"name": f"{self.prefix} {name}", "type": "private", "optin": "single", **fields}
        return self._make("/api/lists", body)

    def new_subscriber(self, name: str, lists: list[int], *, confirmed: bool = True, **fields: Any) -> str:
        """The address."""
        email = f"{self.prefix}-{name}@example.com"
        body = {"email": email, "name": name.title(), "status": "enabled", "lists": lists, **fields}
        self._make("/api/subscribers", {**body, "preconfirm_subscriptions": confirmed})
        return email

    def new_campaign(self, lists: list[int], **fields: Any) -> dict[str, Any]:
        """As it is answered."""
        self.need_to_make()
        row: dict[str, Any] = self.data("POST", "/api/campaigns", json={**self.content(lists), **fields})
        self._made.append(("/api/campaigns", row["id"]))
        return row

    def content(self, lists: list[int]) -> dict[str, Any]:
        """Every field that an edit, a test and a new campaign need."""
        return {
            "name": f"{self.prefix} campaign",
            "subject": "Contract test",
            "lists": lists,
            "from_email": "Contract <contract@example.com>",
            "type": "regular",
            "content_type": "html",
            "messenger": "email",
            "body": "<p>Hello {{ .Subscriber.FirstName }}</p>",
            "tags": [self.prefix],
        }

    def draft(self, people: int = 2, **fields: Any) -> Draft:
        """A draft for so many confirmed subscribers. Skips the test where the token may not make one."""
        self.need_to_make()
        number = self.new_list()
        emails = tuple(self.new_subscriber(f"p{one}", [number]) for one in range(1, people + 1))
        row = self.new_campaign([number], **fields)
        return Draft(row["id"], row["name"], number, emails)

    def _make(self, path: str, body: dict[str, Any]) -> int:
        number: int = self.data("POST", path, json=body)["id"]
        self._made.append((path, number))
        return number
