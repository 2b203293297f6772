"""Ways to the test server that the SSH tests share."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backends.blasthost.session import HostSession
from backends.blasthost.sshconfig import Target
from tests.support.sshd import Sshd


def target_of(server: Sshd, *, port: int | None = None, jumps: tuple[Target, ...] = ()) -> Target:
    """A target that knows nothing of the SSH config of whoever runs the tests."""
    return Target(
        alias="blast-test",
        hostname=server.host,
        port=port or server.port,
        user=server.user,
        identity_files=(server.key,),
        identities_only=True,
        proxy_jump=jumps,
        known_hosts_files=(server.known_hosts,),
    )


@pytest.fixture
def open_session() -> Iterator[Callable[..., HostSession]]:
    """Makes sessions that are closed when the test ends."""
    made: list[HostSession] = []

    def make(target: Target, **options: object) -> HostSession:
        session = HostSession(target, **options)  # type: ignore[arg-type]
        made.append(session)
        return session

    yield make
    for session in made:
        session.close()


@pytest.fixture
def session(sshd: Sshd, open_session: Callable[..., HostSession]) -> HostSession:
    return open_session(target_of(sshd))


@pytest.fixture
def no_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)


def add_known_host(file: Path, server: Sshd, port: int) -> None:
    """Name the server's key under another port, as the proxy shows it."""
    key = Path(f"{server.host_key}.pub").read_text().split()[:2]
    with file.open("a") as lines:
        lines.write(f"[{server.host}]:{port} {' '.join(key)}\n")
