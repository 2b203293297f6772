"""A blast host that a test can start runs on."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from backends.blasthost.session import HostSession
from tests.blasthost.shells import SHELLS
from tests.support.blasthost import BlastTree, session_to
from tests.support.sshd import Sshd


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[BlastTree]:
    made = BlastTree(tmp_path / "host")
    try:
        yield made
    finally:
        made.end_runs()


@pytest.fixture
def session(sshd: Sshd) -> Iterator[HostSession]:
    with session_to(sshd) as open_session:
        yield open_session


@pytest.fixture(params=list(SHELLS))
def shell(request: pytest.FixtureRequest) -> list[str]:
    words = SHELLS[request.param]
    if not shutil.which(words[0]):
        pytest.skip(f"{words[0]} is missing; install it: apt-get install {words[0]}")
    return words
