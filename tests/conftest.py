"""Fixtures and markers for all tests."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

from tests.support.programs import missing
from tests.support.proxy import Proxy
from tests.support.sshd import Sshd

if TYPE_CHECKING:
    from backends.blasthost.session import HostSession
    from backends.blasthost.sshconfig import Target
    from tests.support.aws import Pipeline
    from tests.support.cloud import Cloud


settings.register_profile("here", max_examples=60)
settings.register_profile("all", max_examples=300)
settings.load_profile("all" if os.environ.get("OPSCONSOLE_REQUIRE_ALL") == "1" else "here")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """`@pytest.mark.needs("sshd")`: skipped where the program is missing, failed where all must be there."""
    needed = [program for marker in item.iter_markers("needs") for program in marker.args]
    if "sshd" in getattr(item, "fixturenames", ()):
        needed.append("sshd")
    for program in needed:
        reason = missing(program)
        if reason and os.environ.get("OPSCONSOLE_REQUIRE_ALL") == "1":
            pytest.fail(reason, pytrace=False)
        if reason:
            pytest.skip(reason)


@pytest.fixture
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """A real OpenSSH server on loopback; using it is as good as `needs("sshd")`."""
    folder = tmp_path_factory.mktemp("sshd")
    server = Sshd(folder)
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def proxy(sshd: Sshd) -> Iterator[Proxy]:
    """A TCP proxy in front of `sshd` with an adjustable delay and a black hole."""
    with Proxy(sshd.host, sshd.port) as between:
        yield between


@pytest.fixture
def console_known_hosts(tmp_path: Path) -> Path:
    """The console's own known_hosts file, not there yet."""
    return tmp_path / "data" / "known_hosts"


@pytest.fixture
def open_session() -> Iterator[Callable[..., "HostSession"]]:
    """Makes host sessions that are closed when the test ends."""
    from backends.blasthost.session import HostSession

    made: list[HostSession] = []

    def make(target: "Target", **options: Any) -> HostSession:
        session = HostSession(target, **options)
        made.append(session)
        return session

    yield make
    for session in made:
        session.close()


@pytest.fixture
def no_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key of whoever runs the tests is offered."""
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)


@pytest.fixture(scope="session")
def cloud() -> Iterator["Cloud"]:
    """AWS on loopback, started once; mark its tests slow."""
    from tests.support.cloud import running

    yield from running()


@pytest.fixture
def aws_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials that only a stand-in takes, and nothing of whoever runs the tests."""
    from tests.support.aws import ENVIRONMENT, FORGOTTEN

    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    for name in FORGOTTEN:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def pipeline(cloud: "Cloud", aws_credentials: None) -> "Pipeline":
    """The pipeline's tables, a standard queue and a sender, empty."""
    from tests.support.aws import Pipeline

    return Pipeline(cloud)


@pytest.fixture
def fifo_pipeline(cloud: "Cloud", aws_credentials: None) -> "Pipeline":
    """The pipeline with a FIFO queue."""
    from tests.support.aws import Pipeline

    return Pipeline(cloud, fifo=True)
