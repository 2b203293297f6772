"""A listmonk for tests: the stand-in with an API user for each kind of token, and a plain HTTP client for it."""

from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from backends.embedded.listmonk.people import MANAGE, READ, SEND, User
from backends.embedded.listmonk.standin import QUICK, StandIn


@dataclass(frozen=True)
class Listmonk:
    """`standin` is what makes things happen on the other side; the users' tokens may read, send, and manage."""

    standin: StandIn
    reader: User
    sender: User
    manager: User

    @property
    def url(self) -> str:
        return self.standin.url

    def as_user(self, user: User) -> httpx.Client:
        """Without cookies, as everybody must be who sends a token."""
        header = {"Authorization": f"token {user.username}:{user.token}"}
        return httpx.Client(
            base_url=self.url, headers=header, timeout=10, verify=False
        )  # plain HTTP: no store to load


def listmonk(**options: object) -> Listmonk:
    """Started, with QUICK waits unless others are given."""
    standin = StandIn(**{"waits": QUICK, **options})  # type: ignore[arg-type]
    standin.start()
    users = (
        standin.add_user("reader", READ),
        standin.add_user("sender", SEND),
        standin.add_user("manager", MANAGE),
    )
    return Listmonk(standin, *users)


@pytest.fixture
def standin() -> Iterator[Listmonk]:
    made = listmonk()
    yield made
    made.standin.stop()
