"""Beside a run: dead letters back or away, the queue emptied, content changed that nobody got so far."""

from pathlib import Path
from threading import Event
from typing import Any

import pytest

from backends.serverless import moving
from backends.serverless.doubts import send_rest
from backends.serverless.editing import why_not
from backends.serverless.operations import BY_HAND, PURGE_DEAD, PURGE_QUEUE, REDRIVE, operate, operations
from backends.serverless.pipe import Queue
from backends.serverless.signals import signal
from backends.serverless.starting import start
from opsconsole.ports import Operated, Operation, OutOfReach, Refused, Trouble, Verb
from opsconsole.settings import Serverless
from runner.worker.schema import content_seal
from tests.serverless.sending import SLUG, Desk, desk, people, queued, rewrite
from tests.support.aws import Pipeline


@pytest.mark.parametrize(
    ("item", "anybody", "why"),
    [
        ({"status": "draft"}, False, ""),
        ({}, False, ""),
        ({"status": "queued", "paused": True}, False, ""),
        ({"status": "queued"}, False, "pause it first"),
        ({"status": "processing", "paused": True, "sent_count": 1}, False, "somebody got it"),
        ({"status": "processing", "paused": True}, True, "somebody got it"),
        ({"status": "completed"}, False, "nothing of it is to be sent"),
        ({"status": "cancelled"}, False, "nothing of it is to be sent"),
    ],
)
def test_content_is_changed_before_anybody_got_it(item: dict[str, Any], anybody: bool, why: str) -> None:
    said = why_not(item, anybody)
    assert why in said
    assert bool(why) == bool(said)


def test_what_somebody_else_approved_is_not_changed_once_it_is_started() -> None:
    assert "approved it" in why_not({"status": "queued", "paused": True}, False, four_eyes=True)
    assert why_not({"status": "draft"}, False, four_eyes=True) == "", "a start asks for another approval"


def one(ours: Desk, name: str, slug: str = "") -> Operation:
    return next(operation for operation in operations(ours.pipe, slug) if operation.id == name)


def done(ours: Desk, seen: Operation, value: str = "", stop: Event | None = None) -> Operated:
    return operate(ours.pipe, seen, value, "ana", lambda data: ours.said.append(data.decode()), stop or Event())


@pytest.mark.slow
@pytest.mark.parametrize("way", [REDRIVE, BY_HAND])
def test_dead_letters_go_back_either_way(pipeline: Pipeline, tmp_path: Path, way: str) -> None:
    pipeline.queue(SLUG, *people(25), dead=True)
    with desk(pipeline, tmp_path) as ours:
        seen = one(ours, way)
        assert (seen.count, seen.mails, seen.against) == (25, True, "")
        assert any("mailed" in warning for warning in seen.warnings)
        what = done(ours, seen)
        assert (what.count, what.before, what.after, what.stopped) == (
            25,
            "25 dead letters",
            "0 dead letters",
            False,
        )
        assert one(ours, way).against == "there are no dead letters"
    assert queued(pipeline) == people(25)
    assert pipeline.dead == 0
    assert any("25" in line for line in ours.said)


@pytest.mark.slow
def test_whoever_may_not_have_sqs_move_them_is_told_of_the_other_way(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.queue(SLUG, *people(3), dead=True)
    with desk(pipeline, tmp_path) as ours:
        for fault in ("deny", "unknown"):
            pipeline.cloud.fault("sqs.StartMessageMoveTask", fault)
            with pytest.raises(Refused, match=BY_HAND):
                done(ours, one(ours, REDRIVE))
    assert pipeline.dead == 3


@pytest.mark.slow
def test_a_move_that_goes_on_unseen_is_not_called_nothing(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.queue(SLUG, *people(3), dead=True)
    with desk(pipeline, tmp_path) as ours:
        pipeline.cloud.fault("sqs.ListMessageMoveTasks", "deny", times=9)
        with pytest.raises(Trouble, match="It goes on by itself") as told:
            done(ours, one(ours, REDRIVE))
    assert not isinstance(told.value, Refused)
    assert pipeline.dead == 0


class Sqs:
    """SQS at a long move: what it says of the task at each look, until it is told to stop."""

    def __init__(self) -> None:
        self.moved, self.stopped = 0, False

    def once(self, service: str, operation: str, **arguments: str) -> dict[str, Any]:
        if operation == "cancel_message_move_task":
            assert arguments == {"TaskHandle": "h1"}
            self.stopped = True
        return {"TaskHandle": "h1"}

    def ask(self, service: str, operation: str, **arguments: Any) -> dict[str, Any]:
        if operation == "list_message_move_tasks":
            self.moved += 100
            status = "CANCELLED" if self.stopped else "RUNNING" if self.moved > 100 else "COMPLETED"
            task = {"Status": status, "ApproximateNumberOfMessagesMoved": self.moved}
            return {"Results": [task]}
        return {"Attributes": {"ApproximateNumberOfMessages": "700"}}


def test_a_long_move_tells_how_far_it_is_and_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moving, "TASK_EVERY", 0.0)
    settings = Serverless(region="us-west-2", dead_letter_queue="https://sqs.example.com/1/dead")
    ours, stop, lines = Desk(settings, tmp_path), Event(), list[str]()
    ours.pipe.aws = Sqs()  # type: ignore[assignment]
    queue = Queue("https://sqs.example.com/1/queue")
    dead = Queue("https://sqs.example.com/1/dead", {"ApproximateNumberOfMessages": "1000"})

    def say(line: str) -> None:
        lines.append(line)
        if "300" in line:
            stop.set()

    what = moving.by_task(ours.pipe, queue, dead, say, stop)
    assert (what.stopped, what.count, what.after) == (True, 400, "700 dead letters")
    assert lines == [
        "running: about 200 of 0 moved",
        "running: about 300 of 0 moved",
        "cancelled: about 400 of 0 moved",
    ]


@pytest.mark.slow
def test_moving_by_hand_stops_when_it_is_told_to(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.queue(SLUG, *people(40), dead=True)
    stop = Event()
    with desk(pipeline, tmp_path) as ours:
        seen = one(ours, BY_HAND)

        def heard(data: bytes) -> None:
            if data == b"moved 20 of 40\n":
                stop.set()

        what = operate(ours.pipe, seen, "", "ana", heard, stop)
    assert what.stopped
    assert what.count == 20
    assert (len(queued(pipeline)), pipeline.dead) == (20, 20)


@pytest.mark.slow
def test_a_move_that_breaks_half_way_loses_no_letter(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.queue(SLUG, *people(30), dead=True)
    with desk(pipeline, tmp_path) as ours:
        pipeline.cloud.fault("sqs.DeleteMessageBatch", "deny", times=1, after=1)
        with pytest.raises(Trouble, match="After 10 of 30 dead letters"):
            done(ours, one(ours, BY_HAND))
    assert len(queued(pipeline)) == 20, "ten are in both queues: that mails nobody twice"
    assert pipeline.dead == 20


@pytest.mark.slow
def test_what_was_done_is_not_called_nothing_where_it_cant_be_looked_at(pipeline: Pipeline, tmp_path: Path) -> None:
    def broke(call: str, what: str, after: int) -> Trouble:
        pipeline.cloud.fault(call, "deny", times=99, after=after)
        with pytest.raises(Trouble) as told:
            done(ours, seen)
        pipeline.cloud.faults.clear()
        assert what in str(told.value)
        return told.value

    pipeline.queue(SLUG, *people(15), dead=True)
    with desk(pipeline, tmp_path) as ours:
        seen = one(ours, BY_HAND)
        first = broke("sqs.DeleteMessageBatch", "10 letters are in the queue", 0)
        assert (len(queued(pipeline)), pipeline.dead) == (10, 15)
        seen = one(ours, PURGE_DEAD)
        looks = sum(name == "sqs.GetQueueAttributes" for name in pipeline.cloud.calls)
        ours_again = one(ours, PURGE_DEAD)
        each = sum(name == "sqs.GetQueueAttributes" for name in pipeline.cloud.calls) - looks
        assert ours_again.state == seen.state
        second = broke("sqs.GetQueueAttributes", "are thrown away", each + 2)
    assert pipeline.dead == 0
    assert not any(isinstance(error, Refused | OutOfReach) for error in (first, second))


@pytest.mark.slow
def test_a_fifo_queue_does_not_swallow_what_comes_back(fifo_pipeline: Pipeline, tmp_path: Path) -> None:
    fifo_pipeline.queue(SLUG, *people(5), run_id="r1")
    fifo_pipeline.cloud.client("sqs").purge_queue(QueueUrl=fifo_pipeline.queue_url)
    fifo_pipeline.queue(SLUG, *people(5), run_id="r1", dead=True)
    with desk(fifo_pipeline, tmp_path) as ours:
        assert done(ours, one(ours, BY_HAND)).count == 5
    assert queued(fifo_pipeline) == people(5)


@pytest.mark.slow
def test_dead_letters_are_thrown_away_and_not_twice_within_a_minute(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.queue(SLUG, *people(7), dead=True)
    with desk(pipeline, tmp_path) as ours:
        seen = one(ours, PURGE_DEAD)
        assert (seen.count, seen.mails) == (7, False)
        assert any("can't be had back" in warning for warning in seen.warnings)
        what = done(ours, seen)
        assert (what.count, what.before) == (7, "7 messages")
        pipeline.queue(SLUG, *people(2), dead=True)
        with pytest.raises(Refused, match="within the last minute"):
            done(ours, one(ours, PURGE_DEAD))
    assert pipeline.dead == 2


@pytest.mark.slow
def test_the_queue_is_emptied_only_while_nobody_is_being_sent_to(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.contacts(*people(6))
    pipeline.campaign(SLUG)
    with desk(pipeline, tmp_path) as ours:
        plan = ours.plan()
        start(ours.pipe, ours.queueing, plan, "ana")
        ours.queueing.close()
        running = one(ours, PURGE_QUEUE)
        assert running.against == f"{SLUG} is being sent: pause or cancel first"
        with pytest.raises(Refused, match="pause or cancel first"):
            done(ours, running)
        assert len(queued(pipeline)) == 6

        signal(ours.pipe, SLUG, 1, Verb.PAUSE)
        seen = one(ours, PURGE_QUEUE)
        assert seen.against == ""
        signal(ours.pipe, SLUG, 1, Verb.RESUME)
        with pytest.raises(Refused, match="pause or cancel first"):
            done(ours, seen)
        signal(ours.pipe, SLUG, 1, Verb.PAUSE)
        assert done(ours, one(ours, PURGE_QUEUE)).count == 6
        assert pipeline.depth == 0

        signal(ours.pipe, SLUG, 1, Verb.RESUME)
        pipeline.deliveries(SLUG, "sent", people(6)[0])
        send_rest(ours.pipe, ours.queueing, SLUG, 1, plan.run_id, "ana")
    assert queued(pipeline) == people(6)[1:], "whoever was thrown away gets it all the same"


@pytest.mark.slow
def test_a_draft_gets_another_subject_and_its_plan_is_stale(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.contacts(*people(3))
    pipeline.campaign(SLUG, version=4)
    with desk(pipeline, tmp_path) as ours:
        plan = ours.plan()
        seen = one(ours, "content-subject", SLUG)
        assert seen.asks == "the new subject"
        what = done(ours, seen, "Hi {{ first_name }}")
        assert what.before == plan.digests["subject"]
        assert what.after != what.before
        item = pipeline.item(SLUG)
        assert (item["subject"], item["version"], item["content_version"]) == ("Hi {{ first_name }}", 5, 1)
        with pytest.raises(Refused, match="subject was"):
            start(ours.pipe, ours.queueing, plan, "ana")
        with pytest.raises(Refused, match="it isn't as it was shown"):
            done(ours, seen, "Once more")


@pytest.mark.slow
def test_content_that_does_not_work_is_not_taken(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.campaign(SLUG)
    with desk(pipeline, tmp_path) as ours:
        seen = one(ours, "content-body", SLUG)
        for value, why in (
            ("<p>{% if %}</p>", "doesn't work"),
            ("<p>Dear {{ first_name }} {{ last_name }}, welcome to {{ company }}.</p>", "it has"),
            ("x" * 400_000, "350 KiB"),
        ):
            with pytest.raises(Refused, match=why):
                done(ours, seen, value)
    assert "version" not in pipeline.item(SLUG)


@pytest.mark.slow
def test_content_of_a_queued_run_is_changed_while_it_is_paused(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.contacts(*people(3))
    pipeline.campaign(SLUG)
    with desk(pipeline, tmp_path) as ours:
        start(ours.pipe, ours.queueing, ours.plan(), "ana")
        ours.queueing.close()
        assert "pause it first" in one(ours, "content-text", SLUG).against
        signal(ours.pipe, SLUG, 1, Verb.PAUSE)
        seen = one(ours, "content-text", SLUG)
        assert (seen.count, seen.against) == (3, "")
        done(ours, seen, "Dear {{ first_name }}")
        item = pipeline.item(SLUG)
        assert item["content_version"] == 1
        assert item["content_seal"] == content_seal(item)

        rewrite(pipeline, body="<p>Past the console</p>")
        assert "past the console" in one(ours, "content-text", SLUG).against
        rewrite(pipeline, body=item["body"])
        seen = one(ours, "content-text", SLUG)
        rewrite(pipeline, sent_count=1)
        with pytest.raises(Refused, match="somebody got it"):
            done(ours, seen, "Too late")
    assert pipeline.item(SLUG)["text"] == "Dear {{ first_name }}"


@pytest.mark.slow
def test_a_change_that_crosses_another_is_refused(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.campaign(SLUG)
    with desk(pipeline, tmp_path) as ours:
        from backends.serverless import editing

        def meanwhile(*args: Any) -> None:
            rewrite(pipeline, subject="Theirs")

        seen = one(ours, "content-subject", SLUG)
        monkeypatch.setattr(editing, "check", meanwhile)
        with pytest.raises(Refused, match="at this moment"):
            done(ours, seen, "Ours")
    assert pipeline.item(SLUG)["subject"] == "Theirs"
