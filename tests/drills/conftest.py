"""A world for each drill: everything real, a real OpenSSH server in between."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from opsconsole import wiring
from tests.support.proxy import Proxy
from tests.support.sshd import Sshd
from tests.support.standins import Systems, beside, serving
from tests.support.world import RealWorld


@pytest.fixture
def world(sshd: Sshd, tmp_path: Path, no_agent: None) -> Iterator[RealWorld]:
    with RealWorld(sshd, tmp_path / "world") as made:
        yield made


@pytest.fixture
def far_world(sshd: Sshd, proxy: Proxy, tmp_path: Path, no_agent: None) -> Iterator[RealWorld]:
    """A world behind a line that `proxy` can make slow or dead."""
    with RealWorld(sshd, tmp_path / "world", port=proxy.port) as made:
        yield made


@pytest.fixture
def systems(monkeypatch: pytest.MonkeyPatch) -> Iterator[Systems]:
    """A job queue and a mail provider, which every console of the test asks besides its own systems."""
    with serving(Systems()) as served:
        monkeypatch.setattr(wiring, "_backends", lambda loaded, around: beside(loaded, around, served.url))
        yield served
