"""The pipeline's worker: throughput against the number of workers, calls of AWS for each mail, bytes of a message.

    python -m bench.worker_bench [messages]

AWS is moto, one Python process of about a hundred mails a second whoever asks: that bounds what several workers can
show here. So that a worker waits as it does for SES, the mail server answers each mail late; then twice the workers
are twice as fast until moto is busy. `near` is one worker with a mail server that answers at once: moto's bound.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from runner.worker.schema import reference

MESSAGES = 160
THREADS = 4
LATE_MS = 200  # of each of the mail server's answers
NUMBERS = (1, 2, 4)
BODY = "<p>Dear {{ first_name }} {{ last_name }}, welcome to {{ company }}.</p>\n" + (
    "<p>This month the garden is full again: see what our growers picked for you.</p>\n" * 25
)


def run(messages: int = MESSAGES) -> list[dict[str, Any]]:
    """Each figure as name, ours, reference, ratio, unit."""
    figures = [*_bytes()]
    from tests.support.cloud import running

    os.environ.update(_credentials())
    with tempfile.TemporaryDirectory(prefix="worker-bench-") as folder:
        clouds = running()
        cloud = next(clouds)
        try:
            rates = {number: _rate(cloud, Path(folder), messages, number, LATE_MS)[0] for number in NUMBERS}
            near, calls = _rate(cloud, Path(folder), messages, 1, 0, threads=4 * THREADS)
        finally:
            next(clouds, None)
    for number in NUMBERS:
        figures.append(_figure(f"worker throughput, {number} against 1", rates[number], rates[1], "mails/s"))
    figures.append(_figure("the stand-in's bound, near, 1 worker of 16 threads", near, rates[1], "mails/s"))
    for call, name in (("dynamodb.TransactWriteItems", "transactions"), ("", "calls of AWS")):
        made = calls[call] if call else sum(calls.values())
        figures.append(_figure(f"{name} for each mail, near", made / messages, 2.0 if call else None, "calls"))
    return figures


def _bytes() -> list[dict[str, Any]]:
    """A message with a reference, against one with the content in it."""
    contact = {"email": "john.doe@example.com", "first_name": "John", "last_name": "Doe", "company": "Acme Corp"}
    ours = len(reference("campaign_1234567890", contact["email"]).encode())
    content = {"campaign_id": "campaign_1234567890", "subject": "Hello {{ first_name }}!", "body": BODY, **contact}
    whole = len(json.dumps(content, separators=(",", ":")).encode())
    return [_figure("bytes of a message, reference against content", ours, whole, "B", "about 100 B")]


def _rate(
    cloud: Any, folder: Path, messages: int, number: int, late: int, threads: int = THREADS
) -> tuple[float, Counter[str]]:
    """Mails a second from the first that was counted to the last, and the calls made."""
    from tests.support.aws import Pipeline
    from tests.support.workers import Worker, addresses, by_smtp, peeked, queued, until

    pipeline, people, port = Pipeline(cloud), addresses(messages), _free_port()
    sink = subprocess.Popen([sys.executable, "-m", "bench.far_sink", str(port), str(late)])
    try:
        pipeline.contacts(*people)
        queued(pipeline, "bench", people, **by_smtp(port), body=BODY)
        cloud.calls.clear()
        workers = [Worker(pipeline, folder, "--threads", str(threads)) for _ in range(number)]
        until(lambda: peeked(pipeline, "bench").get("sent_count", 0) >= 2 * number * threads)
        began, before = time.perf_counter(), peeked(pipeline, "bench")["sent_count"]
        until(lambda: peeked(pipeline, "bench").get("sent_count", 0) == messages, 300)
        seconds = time.perf_counter() - began
        calls = Counter(cloud.calls)
        for worker in workers:
            worker.stop()
    finally:
        sink.kill()
        sink.wait()
    return (messages - before) / seconds, calls


def _figure(name: str, ours: float, reference: float | None, unit: str, goal: str = "") -> dict[str, Any]:
    figure = {"name": name, "ours": round(ours, 1), "unit": unit, "goal": goal}
    if reference is not None:
        figure |= {"reference": round(reference, 1), "ratio": round(ours / reference, 2)}
    return figure


def _credentials() -> dict[str, str]:
    from tests.support.aws import ENVIRONMENT

    return ENVIRONMENT


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


if __name__ == "__main__":
    for figure in run(*map(int, sys.argv[1:])):
        print(json.dumps(figure))
