"""Drill 6: the pipeline says processing, its queue gets no shorter, dead letters pile up, contacts aren't found."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.runner.worker.conftest import sink
from tests.support.aws import Pipeline
from tests.support.counting_sink import CountingSink
from tests.support.operator import before_the_screens
from tests.support.platforms import PIPELINE, Platforms
from tests.support.workers import Worker, addresses, by_smtp

__all__ = ["sink"]
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("aws_credentials")]

SLUG = "spring-sale"
PEOPLE = addresses(60)
DONE, BROKEN, GONE, DEAD, LEFT = PEOPLE[:30], PEOPLE[30:32], PEOPLE[32:36], PEOPLE[36:43], PEOPLE[43:]


@pytest.fixture
def world(pipeline: Pipeline, tmp_path: Path) -> Platforms:
    made = Platforms(tmp_path / "w", stall_after="2 s")
    made.add_pipeline(pipeline.settings, backlog_after="1 s")
    return made


def backlog(pipeline: Pipeline, **fields: object) -> None:
    """All were queued 20 minutes ago; the workers died of what they met, and nobody works at the rest."""
    long_ago = (datetime.now(UTC) - timedelta(minutes=20)).isoformat()
    pipeline.contacts(*(who for who in PEOPLE if who not in GONE))
    pipeline.deliveries(SLUG, "sent", *DONE, ended_at=long_ago)
    pipeline.deliveries(SLUG, "failed", *BROKEN, ended_at=long_ago, error="550 5.1.1 no such user")
    pipeline.deliveries(SLUG, "missing", *GONE, ended_at=long_ago)
    told = {"total_contacts": 60, "queued_count": 60, "sent_count": 30, "failed_count": 2, "missing_count": 4}
    pipeline.campaign(
        SLUG,
        status="processing",
        version=1,
        run_id="0123456789abcdef",
        started_by="ana",
        started_at=long_ago,
        queued_at=long_ago,
        progress_at=long_ago,
        **told,
        **fields,
    )
    pipeline.queue(SLUG, *LEFT)
    pipeline.queue(SLUG, *DEAD, dead=True)


def test_it_is_stalled_with_the_queues_figures_and_what_is_expected_told_from_what_isnt(
    world: Platforms, pipeline: Pipeline
) -> None:
    backlog(pipeline)
    world.spoken(SLUG)

    told = world.spoken(SLUG)

    assert (told["status"], told["group"]) == ("STALLED", "Needs attention")
    why = r"nothing has moved for \d+ min, .*30 of 5\d accepted.*17 in the queue.*7 in the dead-letter queue"
    assert re.search(why, told["why"])
    findings = {finding["code"]: finding for finding in told["findings"]}
    assert findings["dlq-filling"]["severity"] == "warn"
    assert findings["contact-not-found"]["severity"] == "info", "people are deleted, that is expected"
    assert "4 contacts" in findings["contact-not-found"]["text"]
    assert told["next"][:3] == ["attach", "pause", "stop"]
    assert "@example" not in str(told)


def test_a_second_send_is_refused(world: Platforms, pipeline: Pipeline) -> None:
    backlog(pipeline)

    again = world.command("dry-run", SLUG, "--json")

    assert (again.code, "STALLED" in again.err) == (3, True)
    assert pipeline.depth == len(LEFT)


def test_dead_letters_go_back_only_after_two_confirmations_and_then_everybody_is_mailed_once(
    world: Platforms, pipeline: Pipeline, sink: CountingSink, tmp_path: Path
) -> None:
    backlog(pipeline, **by_smtp(sink.port))
    asked = ("op", PIPELINE, "redrive-by-hand", "--reason", "the mail server is back")
    assert world.command(*asked, "--confirm", f"{PIPELINE} 8").code == 3
    assert pipeline.dead == len(DEAD)

    done = world.command(*asked, "--confirm", f"{PIPELINE} {len(DEAD)}")

    assert done.code == 0, done.err
    assert (pipeline.dead, pipeline.depth) == (0, len(DEAD) + len(LEFT))
    assert Worker(pipeline, tmp_path, "--until-empty").end() == 0
    assert sink.recipients() == dict.fromkeys([*DEAD, *LEFT], 1), "nobody of those who were done"
    told = world.spoken(SLUG)
    assert told["status"] == "PARTIAL"
    assert "54 of 56 accepted, 2 failed" in told["why"]
    kept = world.command("audit", "search", "redrive-by-hand", "--json").out
    assert "the mail server is back" in kept


def test_dead_letters_are_thrown_away_only_by_the_number_that_is_there(
    world: Platforms, pipeline: Pipeline
) -> None:
    backlog(pipeline)
    asked = ("op", PIPELINE, "purge-dead-letters", "--reason", "all of them bounced")

    assert world.command(*asked, "--confirm", PIPELINE).code == 3
    assert world.command("op", PIPELINE, "purge-queue", "--reason", "x", "--confirm", f"{PIPELINE} 17").code == 3
    assert (pipeline.dead, pipeline.depth) == (len(DEAD), len(LEFT))

    assert world.command(*asked, "--confirm", f"{PIPELINE} {len(DEAD)}").code == 0
    assert (pipeline.dead, pipeline.depth) == (0, len(LEFT))


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
async def test_it_is_answered_within_three_keys(
    world: Platforms, pipeline: Pipeline, size: tuple[int, int]
) -> None:
    backlog(pipeline)
    world.spoken(SLUG)
    async with before_the_screens(world, size, sources=2) as operator:  # type: ignore[arg-type]
        await operator.press("home")
        await operator.sees("STALLED", "[f6] pause", "[f9] stop")
        await operator.sees_like("in the queue.*in the dead-letter queue")
        await operator.press("O")
        await operator.sees_like("dead letters")


def test_the_main_job_on_the_pipeline(
    world: Platforms, pipeline: Pipeline, sink: CountingSink, tmp_path: Path
) -> None:
    """Checked, rehearsed, planned, confirmed, queued, sent by a worker, recorded."""
    due = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
    pipeline.contacts(*PEOPLE)
    approved = {"due_at": due, "approved_by": "ana", "approved_at": due}
    pipeline.campaign(SLUG, **approved, **by_smtp(sink.port))
    checks = world.command("preflight", SLUG)
    assert checks.code == 0, checks.out
    rehearsal = world.command("dry-run", SLUG, "--json").json
    assert rehearsal["audience"] == 60

    worker = Worker(pipeline, tmp_path)
    try:
        end = world.command("send", SLUG, "--plan", rehearsal["plan"], "--confirm", f"{SLUG} 60", "--json")
    finally:
        worker.stop()

    assert end.code == 0, end.err
    assert sink.recipients() == dict.fromkeys(PEOPLE, 1)
    told = world.spoken(SLUG)
    assert told["status"] == "SENT", told["why"]
    again = world.command("send", SLUG, "--plan", rehearsal["plan"], "--confirm", f"{SLUG} 60")
    assert again.code == 3
    assert sink.recipients() == dict.fromkeys(PEOPLE, 1)
