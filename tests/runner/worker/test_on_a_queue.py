"""Workers on a queue, from outside: who was mailed, what is counted, what is left in the queue."""

from pathlib import Path

import pytest

from tests.support.aws import Pipeline
from tests.support.counting_sink import CountingSink
from tests.support.workers import Worker, addresses, by_smtp, change, queued, until

pytestmark = pytest.mark.slow
COUNTS = ("sent_count", "failed_count", "missing_count", "suppressed_count", "unknown_count")


def counts(pipeline: Pipeline, campaign_id: str = "spring") -> tuple[int, ...]:
    item = pipeline.item(campaign_id)
    return tuple(item.get(name, 0) for name in COUNTS)


def test_a_campaign_ends_with_everybody_counted_once(
    pipeline: Pipeline, sink: CountingSink, tmp_path: Path
) -> None:
    people = addresses(30)
    pipeline.contacts(*people[:27])
    pipeline.people([{"email": people[27], "first_name": "Bo"}, {"email": people[28], "first_name": "B\no"}])
    pipeline.people([{"email": "not an address", "first_name": "B", "last_name": "O", "company": "C"}])
    queued(pipeline, "spring", [*people, "not an address"], **by_smtp(sink.port))
    pipeline.queue("spring", people[0], people[1])  # a standard queue gives some twice

    assert Worker(pipeline, tmp_path, "--until-empty").end() == 0

    assert sink.recipients() == dict.fromkeys(people[:27], 1)
    assert counts(pipeline) == (27, 3, 1, 0, 0)  # one contact was deleted after queueing, which is expected
    found = pipeline.delivered("spring")
    assert {item["state"] for item in found.values()} == {"sent", "failed", "missing"}
    assert found[people[27]]["error_class"] == "template"
    assert "'last_name' is undefined" in found[people[27]]["error"]
    assert found[people[29]]["state"] == "missing"
    assert found["not an address"]["error_class"] == "address"
    item = pipeline.item("spring")
    assert item["status"] == "completed"
    assert item["completed_at"]
    assert (pipeline.depth, pipeline.dead) == (0, 0)


def test_a_pause_holds_at_the_next_message_and_a_resume_goes_on(
    pipeline: Pipeline, sink: CountingSink, tmp_path: Path
) -> None:
    people = addresses(40)
    pipeline.contacts(*people)
    queued(pipeline, "spring", people, **by_smtp(sink.port))
    worker = Worker(pipeline, tmp_path, "--threads", "4", "--rate", "20")
    until(lambda: len(sink.recipients()) >= 5)

    change(pipeline, "spring", paused=True, paused_by="ana")
    begun = {who for who, item in pipeline.delivered("spring").items()}  # nobody can be begun from here on
    until(lambda: "paused" in worker.text and worker.lines[-1]["paused"] > 0)
    until(lambda: all(item["state"] == "sent" for item in pipeline.delivered("spring").values()))

    assert set(sink.recipients()) == begun
    assert len(begun) < 40
    assert worker.stop() == 0
    assert pipeline.depth == 40 - len(begun)  # copies that wait, and none was counted towards the dead-letter queue
    assert pipeline.dead == 0

    change(pipeline, "spring", paused=False)
    last = Worker(pipeline, tmp_path)
    until(lambda: pipeline.item("spring")["status"] == "completed")
    assert last.stop() == 0
    assert sink.recipients() == dict.fromkeys(people, 1)
    assert counts(pipeline) == (40, 0, 0, 0, 0)


def test_a_cancelled_campaign_is_dropped_uncounted(pipeline: Pipeline, sink: CountingSink, tmp_path: Path) -> None:
    people = addresses(12)
    pipeline.contacts(*people)
    queued(pipeline, "spring", people, **by_smtp(sink.port))
    change(pipeline, "spring", status="cancelled", cancelled_by="ana")

    worker = Worker(pipeline, tmp_path, "--until-empty")

    assert worker.end() == 0
    assert not sink.recipients()
    assert not pipeline.delivered("spring")
    assert pipeline.depth == 0
    assert worker.lines[-1]["counts"]["dropped"] == 12


def test_what_is_no_reference_or_of_no_campaign_ends_in_the_dead_letter_queue(
    pipeline: Pipeline, sink: CountingSink, tmp_path: Path
) -> None:
    pipeline.contacts("ana@example.com")
    queued(pipeline, "spring", ["ana@example.com"], **by_smtp(sink.port))
    sqs = pipeline.cloud.client("sqs")
    for body in (
        "not json: ana@example.com",
        '{"campaign_id": 7}',
        '{"campaign_id":"x","contact_email":"a@b.example"}',
    ):
        sqs.send_message(QueueUrl=pipeline.queue_url, MessageBody=body)

    worker = Worker(pipeline, tmp_path, "--until-empty")

    assert worker.end() == 0
    assert sink.recipients() == {"ana@example.com": 1}
    assert worker.lines[-1]["counts"]["dead"] == 3
    assert pipeline.depth == 3  # the queue itself moves them, after so many receives
    assert "@" not in worker.text.replace("•••@", "")


def test_a_worker_that_is_told_to_stop_finishes_what_is_in_flight_and_gives_back_the_rest(
    pipeline: Pipeline, sink: CountingSink, tmp_path: Path
) -> None:
    people = addresses(25)
    pipeline.contacts(*people)
    queued(pipeline, "spring", people, **by_smtp(sink.port))
    worker = Worker(pipeline, tmp_path, "--rate", "10")
    until(lambda: len(sink.recipients()) >= 3)

    assert worker.stop() == 0

    sent = sink.recipients()
    assert counts(pipeline) == (len(sent), 0, 0, 0, 0)
    assert {item["state"] for item in pipeline.delivered("spring").values()} == {"sent"}
    assert pipeline.depth == 25 - len(sent)
    assert Worker(pipeline, tmp_path, "--until-empty").end() == 0
    assert sink.recipients() == dict.fromkeys(people, 1)


def test_two_workers_on_the_same_references_mail_everybody_once(
    pipeline: Pipeline, sink: CountingSink, tmp_path: Path
) -> None:
    people = addresses(24)
    pipeline.contacts(*people)
    queued(pipeline, "spring", people, **by_smtp(sink.port))
    pipeline.queue("spring", *people)

    both = [Worker(pipeline, tmp_path, "--until-empty", "--threads", "4") for _ in range(2)]

    assert [worker.end() for worker in both] == [0, 0]
    assert sink.recipients() == dict.fromkeys(people, 1)
    assert counts(pipeline) == (24, 0, 0, 0, 0)
    assert pipeline.item("spring")["status"] == "completed"


def test_a_pause_fills_no_dead_letter_queue_of_a_fifo_queue_either(
    fifo_pipeline: Pipeline, sink: CountingSink, tmp_path: Path
) -> None:
    people = addresses(4)
    fifo_pipeline.contacts(*people)
    queued(fifo_pipeline, "spring", people[:3], **by_smtp(sink.port))
    queued(fifo_pipeline, "summer", people[3:], **by_smtp(sink.port))
    change(fifo_pipeline, "spring", paused=True)

    worker = Worker(fifo_pipeline, tmp_path)
    until(lambda: worker.lines and worker.lines[-1]["paused"] >= 7)  # each of them was looked at twice, some thrice

    assert (fifo_pipeline.depth, fifo_pipeline.dead) == (3, 0)
    assert sink.recipients() == {people[3]: 1}
    assert worker.stop() == 0


def test_an_account_that_may_not_send_is_told_and_nothing_is_lost(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.contacts("ana@example.com")
    queued(pipeline, "spring", ["ana@example.com"])
    pipeline.cloud.fault("ses.POST /v2/email/outbound-emails", "deny")

    worker = Worker(pipeline, tmp_path, "--until-empty")

    assert worker.end() == 78
    assert "the credentials may not send" in worker.lines[-1]["error"]
    assert (pipeline.depth, pipeline.delivered("spring"), pipeline.cloud.mails) == (1, {}, [])
