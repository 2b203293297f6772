"""A mail server that counts, for workers that are processes of their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.counting_sink import CountingSink


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[CountingSink]:
    running = CountingSink(tmp_path / "sink")
    yield running
    running.stop()
