"""A campaign through 1, 2 and 4 workers of which one is killed at a random moment: nobody gets it twice, and
everybody gets it once when those who are unknown were decided by what the mail server knows.

Bounded, a campaign is small. Of OPSCONSOLE_FAULTS=full it has 10,000 recipients.
"""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.support import report, seed, size
from tests.support.aws import Pipeline
from tests.support.counting_sink import CountingSink
from tests.support.workers import Worker, addresses, by_smtp, decide, queued, states, until

pytestmark = pytest.mark.slow
THREADS = 4
PEOPLE = size(40, 10_000)
SECONDS = size(60, 1800)


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[CountingSink]:
    running = CountingSink(tmp_path / "sink")
    yield running
    running.stop()


@pytest.mark.timeout(2 * SECONDS)
@pytest.mark.parametrize("number", [1, 2, 4])
def test_one_of_the_workers_is_killed_and_everybody_gets_it_exactly_once(
    number: int, cloud: object, aws_credentials: None, sink: CountingSink, tmp_path: Path
) -> None:
    chance = random.Random(seed())
    pipeline = Pipeline(cloud, visibility=2 if PEOPLE < 1000 else 10)  # type: ignore[arg-type]
    people = addresses(PEOPLE)
    pipeline.contacts(*people)
    queued(pipeline, "spring", people, **by_smtp(sink.port))
    settings = ("--threads", str(THREADS), "--stale-after", "3" if PEOPLE < 1000 else "30")

    workers = [Worker(pipeline, tmp_path, *settings) for _ in range(number)]
    moment = chance.randrange(1, PEOPLE * 3 // 4)
    until(lambda: len(sink.recipients()) >= moment, SECONDS)
    killed = workers.pop(chance.randrange(number))
    fired = killed.process.poll() is None
    killed.kill()
    workers.append(Worker(pipeline, tmp_path, *settings))  # as whatever keeps workers running does
    until(lambda: pipeline.item("spring")["status"] == "completed", SECONDS)
    assert [worker.stop() for worker in workers] == [0] * number

    told, item = sink.recipients(), pipeline.item("spring")
    sent, unknown = item["sent_count"], item.get("unknown_count", 0)
    assert set(told.values()) == {1}
    assert sent + unknown == PEOPLE
    assert unknown <= THREADS
    found = list(states(pipeline, "spring").values())
    assert (found.count("sent"), found.count("unknown")) == (sent, unknown)

    decide(pipeline, "spring", lambda who: who in told)
    assert Worker(pipeline, tmp_path, "--until-empty").end() == 0
    assert sink.recipients() == dict.fromkeys(people, 1)
    assert pipeline.item("spring")["sent_count"] == PEOPLE
    assert pipeline.dead == 0
    report(f"worker-kills-{number}", 1, int(fired), 0)
