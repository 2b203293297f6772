"""What the pipeline's tests share: a backend on moto, with a clock that the test sets."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backends.serverless.pipeline import ServerlessBackend
from opsconsole.policy import Policy
from opsconsole.ports import Surroundings
from opsconsole.settings import Serverless

Make = Callable[[Serverless], ServerlessBackend]


class Clock:
    """Begins at the real time, which SQS and CloudWatch go by as well."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def surroundings(tmp_path: Path, clock: Clock) -> Surroundings:
    return Surroundings(
        policy=Policy(), data_dir=tmp_path / "data", clock=clock, started=lambda carrier, slug: None
    )


@pytest.fixture
def backend_of(surroundings: Surroundings) -> Iterator[Make]:
    """Makes backends of a pipeline's settings, closed in the end."""
    made: list[ServerlessBackend] = []

    def make(settings: Serverless) -> ServerlessBackend:
        made.append(ServerlessBackend("bulk", settings, surroundings))
        return made[-1]

    yield make
    for backend in made:
        backend.close()
