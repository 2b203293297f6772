"""A store on a fresh file; and, for what must hold on both, one on either kind of database."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from opsconsole.audit.store import AuditStore
from tests.audit.support import KEY, ticking
from tests.support.postgres import Postgres


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "audit.db"


@pytest.fixture
def store(path: Path) -> Iterator[AuditStore]:
    with AuditStore(path, KEY, clock=ticking()) as opened:
        yield opened


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A real server; tests that use it are marked needs("postgres")."""
    server = Postgres()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.needs("postgres"))])
def place(request: pytest.FixtureRequest, path: Path) -> "str | Path":
    """Where an empty store may be made: a path, or the URL of a database."""
    if request.param == "sqlite":
        return path
    server: Postgres = request.getfixturevalue("postgres")
    return server.new()


@pytest.fixture
def either(place: str | Path) -> Iterator[AuditStore]:
    """A new store on either kind of database."""
    with AuditStore(place, KEY, clock=ticking()) as opened:
        yield opened
