"""A blast host that a test can start runs on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from backends.blasthost.session import HostSession
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
