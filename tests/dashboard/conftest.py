"""The embedded dashboard on loopback, and a backend that reaches it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from backends.dashboard import DashboardBackend
from backends.embedded.dashboard_server import DashboardServer
from backends.embedded.dashboard_state import DashboardState
from tests.support.dashboard import CAMPAIGNS, TASKS, TOKEN, reach


@pytest.fixture
def server(tmp_path: Path) -> Iterator[DashboardServer]:
    with DashboardServer(DashboardState(tmp_path / "dashboard.json", CAMPAIGNS, TASKS), TOKEN) as server:
        yield server


@pytest.fixture
def dashboard(server: DashboardServer, tmp_path: Path) -> Iterator[DashboardBackend]:
    backend = reach(server.url, tmp_path)
    yield backend
    backend.close()
