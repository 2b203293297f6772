"""A mail that takes longer than the queue's visibility timeout stays with the worker that has it."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.aws import Pipeline
from tests.support.cloud import Cloud
from tests.support.workers import Worker, by_smtp, peeked, queued, until

pytestmark = pytest.mark.slow
VISIBILITY = 2  # seconds
ANSWER_MS = 1200  # of each answer; a mail needs two and the greeting


@pytest.fixture
def far_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = int(server.getsockname()[1])
    sink = subprocess.Popen([sys.executable, "-m", "bench.far_sink", str(port), str(ANSWER_MS)])
    yield port
    sink.kill()
    sink.wait()


def test_what_is_in_flight_is_kept_out_of_everybodys_sight(
    cloud: Cloud, aws_credentials: None, far_port: int, tmp_path: Path
) -> None:
    pipeline = Pipeline(cloud, visibility=VISIBILITY)
    pipeline.contacts("ana@example.com")
    queued(pipeline, "spring", ["ana@example.com"], **by_smtp(far_port))

    worker = Worker(pipeline, tmp_path)
    until(lambda: peeked(pipeline, "spring")["status"] == "completed")
    worker.stop()

    counts = worker.lines[-1]["counts"]
    assert (counts["accepted"], counts["busy"], counts["duplicates"]) == (1, 0, 0)  # it was never given out again
    assert pipeline.depth == 0
