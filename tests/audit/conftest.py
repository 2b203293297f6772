"""A store on a fresh file."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from opsconsole.audit.store import AuditStore
from tests.audit.support import KEY, ticking


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "audit.db"


@pytest.fixture
def store(path: Path) -> Iterator[AuditStore]:
    with AuditStore(path, KEY, clock=ticking()) as opened:
        yield opened
