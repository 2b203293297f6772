"""References get into the queue once each, through faults, a killed console and a second one."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from backends.serverless import queueing
from backends.serverless.doubts import doubt, send_rest
from backends.serverless.queueing import Job, entries
from backends.serverless.signals import signal as tell
from backends.serverless.starting import start
from backends.serverless.state import run_state
from opsconsole.observation import Says
from opsconsole.ports import Refused, Verb
from runner.worker.schema import reference
from tests.serverless.sending import SLUG, Clock, desk, people, queued, rewrite
from tests.support.aws import Pipeline


def a_job(**more: object) -> Job:
    return replace(Job("spring-sale", "0123456789abcdef", "owner", people(10)), **more)  # type: ignore[arg-type]


def test_the_same_people_get_the_same_entries_each_time() -> None:
    once, again = entries(a_job(), people(10), True), entries(a_job(), people(10), True)
    assert once == again
    assert len({entry["Id"] for entry in once}) == 10
    assert {entry["MessageBody"] for entry in once} == {reference("spring-sale", email) for email in people(10)}
    assert all(len(entry["MessageBody"]) < 100 for entry in once)
    assert "MessageGroupId" not in entries(a_job(), people(1), False)[0]


def test_a_rest_is_not_taken_for_what_a_fifo_queue_remembers() -> None:
    (first,) = entries(a_job(), people(1), True)
    (rest,) = entries(a_job(rest=True), people(1), True)
    assert first["MessageDeduplicationId"] != rest["MessageDeduplicationId"]
    assert entries(a_job(rest=True, owner="other"), people(1), True)[0] != rest


@pytest.mark.slow
def test_what_a_queue_does_not_take_at_once_is_tried_again(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.contacts(*people(60))
    pipeline.campaign(SLUG)
    with desk(pipeline, tmp_path) as ours:
        pipeline.cloud.fault("sqs.SendMessageBatch", "throttle", times=4)
        pipeline.cloud.fault("sqs.SendMessageBatch", "lose", times=2)
        start(ours.pipe, ours.queueing, ours.plan(), "ana")
    assert set(queued(pipeline)) == set(people(60))
    assert len(queued(pipeline)) <= 80, "a batch whose answer was lost may be there twice, others not"
    assert pipeline.item(SLUG)["queued_count"] == 60


@pytest.mark.slow
def test_a_queue_that_takes_nothing_leaves_a_run_that_can_be_gone_on_with(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queueing, "STEP", 20)
    pipeline.contacts(*people(60))
    pipeline.campaign(SLUG)
    with desk(pipeline, tmp_path) as ours, desk(pipeline, tmp_path) as theirs:
        plan = ours.plan()
        pipeline.cloud.fault("sqs.SendMessageBatch", "deny", times=99, after=2)
        start(ours.pipe, ours.queueing, plan, "ana")
        ours.queueing.close()
        job = ours.queueing.job(plan.run_id)
        assert job is not None
        assert "queueing broke off at 20 of 60" in job.trouble
        assert "sqs:SendMessage" in job.trouble

        state = run_state(theirs.pipe, SLUG)
        assert state is not None
        assert state.says is Says.STARTED, "the lease was given back: nobody has to wait for its end"
        assert "nobody queues the rest" in state.word.note
        seen = doubt(theirs.pipe, SLUG, 1)
        assert (seen.unsent, seen.unknown_total, seen.against) == (60, 0, "")

        pipeline.cloud.faults.clear()
        assert send_rest(theirs.pipe, theirs.queueing, SLUG, 1, plan.run_id, "ben").fresh
    assert queued(pipeline) == people(60)


KILLED = """
    import sys, time
    from pathlib import Path
    from backends.serverless import queueing
    from backends.serverless.starting import start
    from tests.serverless.sending import SLUG, Desk
    from opsconsole.settings import Serverless

    queueing.STEP = 20
    desk = Desk(Serverless(region="us-west-2", endpoint=sys.argv[1]), Path(sys.argv[2]))
    journal = queueing.Queueing._journal
    def slowly(self, job, cursor):
        journal(self, job, cursor)
        print(job.done, flush=True)
        time.sleep(0.05)
    queueing.Queueing._journal = slowly
    start(desk.pipe, desk.queueing, desk.plan(), "ana")
"""


@pytest.mark.slow
def test_a_console_that_is_killed_while_queueing_loses_nobody(pipeline: Pipeline, tmp_path: Path) -> None:
    everybody = people(400)
    pipeline.contacts(*everybody)
    pipeline.campaign(SLUG)
    root = Path(__file__).parents[2]
    killed = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(KILLED), pipeline.settings.endpoint, str(tmp_path)],
        stdout=subprocess.PIPE,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert killed.stdout is not None
    for line in killed.stdout:
        if int(line) >= 80:
            break
    killed.send_signal(signal.SIGKILL)
    killed.wait(10)
    killed.stdout.close()
    item = pipeline.item(SLUG)
    assert "queued_at" not in item
    assert 80 <= item["queued_count"] < 400
    assert item["queue_cursor"] == everybody[item["queued_count"] - 1]

    clock = Clock()
    with desk(pipeline, tmp_path, clock) as other:
        assert not send_rest(other.pipe, other.queueing, SLUG, 1, item["run_id"], "ben").fresh, (
            "its lease still runs"
        )
        clock.ahead = timedelta(seconds=queueing.LEASE + 1)
        state = run_state(other.pipe, SLUG)
        assert state is not None
        assert state.says is Says.STARTED
        assert send_rest(other.pipe, other.queueing, SLUG, 1, item["run_id"], "ben").fresh
        other.queueing.close()

    times = Counter(queued(pipeline))
    assert set(times) == set(everybody)
    assert sum(times.values()) - 400 <= 20, "at most one step of the journal is there twice"
    after = pipeline.item(SLUG)
    assert (after["queued_count"], after["queue_cursor"]) == (400, everybody[-1])
    assert after["queued_at"]


@pytest.mark.slow
def test_a_fifo_queue_takes_the_step_that_was_queued_twice_once(
    fifo_pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queueing, "STEP", 10)
    fifo_pipeline.contacts(*people(30))
    fifo_pipeline.campaign(SLUG)
    with desk(fifo_pipeline, tmp_path) as ours:
        plan = ours.plan()
        # The first step is in the queue, and its line of the journal is refused: a crash between the two.
        fifo_pipeline.cloud.fault("dynamodb.UpdateItem", "deny", times=1, after=1)
        start(ours.pipe, ours.queueing, plan, "ana")
        ours.queueing.close()
        assert len(queued(fifo_pipeline)) == 10
        assert fifo_pipeline.item(SLUG)["queued_count"] == 0
        send_rest(ours.pipe, ours.queueing, SLUG, 1, plan.run_id, "ana")
    assert queued(fifo_pipeline) == people(30)


@pytest.mark.slow
def test_a_console_that_stops_does_so_between_two_steps(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queueing, "STEP", 20)
    pipeline.contacts(*people(100))
    pipeline.campaign(SLUG)
    with desk(pipeline, tmp_path) as ours, desk(pipeline, tmp_path) as other:
        plan = ours.plan()
        journal = queueing.Queueing._journal

        def then_stop(self: queueing.Queueing, job: Job, cursor: str) -> None:
            journal(self, job, cursor)
            if job.done == 40:
                self._stop.set()

        monkeypatch.setattr(queueing.Queueing, "_journal", then_stop)
        start(ours.pipe, ours.queueing, plan, "ana")
        ours.queueing.close()
        assert queued(pipeline) == people(40)
        assert pipeline.item(SLUG)["queued_count"] == 40
        send_rest(other.pipe, other.queueing, SLUG, 1, plan.run_id, "ana")
        other.queueing.stop()
        assert len(queued(pipeline)) % 20 == 0, "a step that has begun is ended"
    assert len(queued(pipeline)) == len(set(queued(pipeline)))


@pytest.mark.slow
def test_two_consoles_never_queue_at_once(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.contacts(*people(40))
    pipeline.campaign(SLUG)
    with desk(pipeline, tmp_path) as ours, desk(pipeline, tmp_path) as other:
        plan = ours.plan()
        start(ours.pipe, ours.queueing, plan, "ana")
        ours.queueing.close()
        rewrite(pipeline, queued_at=None, queue_cursor=people(10)[-1], queued_count=10)
        pipeline.cloud.calls.clear()
        going_on = threading.Event()
        send = queueing.Queueing._send

        def held(self: queueing.Queueing, *args: object) -> None:
            going_on.wait(20)
            send(self, *args)  # type: ignore[arg-type]

        monkeypatch.setattr(queueing.Queueing, "_send", held)
        first = send_rest(ours.pipe, ours.queueing, SLUG, 1, plan.run_id, "ana")
        second = send_rest(other.pipe, other.queueing, SLUG, 1, plan.run_id, "ben")
        going_on.set()
    assert first.fresh
    assert not second.fresh
    assert list(pipeline.cloud.calls).count("sqs.SendMessageBatch") == 3


@pytest.mark.slow
def test_a_cancel_ends_the_queueing(pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queueing, "STEP", 10)
    pipeline.contacts(*people(100))
    pipeline.campaign(SLUG)
    with desk(pipeline, tmp_path) as ours:
        plan = ours.plan()
        send = queueing.Queueing._send

        def cancelled(self: queueing.Queueing, hands: object, step: list[str]) -> None:
            send(self, hands, step)  # type: ignore[arg-type]
            if step[0] == people(100)[20]:
                tell(ours.pipe, SLUG, 1, Verb.CANCEL)

        monkeypatch.setattr(queueing.Queueing, "_send", cancelled)
        start(ours.pipe, ours.queueing, plan, "ana")
        ours.queueing.close()
        job = ours.queueing.job(plan.run_id)
        assert job is not None
        assert "it is cancelled now" in job.trouble
        assert len(queued(pipeline)) == 30
        with pytest.raises(Refused, match="it was cancelled"):
            send_rest(ours.pipe, ours.queueing, SLUG, 1, plan.run_id, "ana")


@pytest.mark.slow
def test_workers_that_are_faster_than_the_queueing_leave_it_to_say_that_it_is_complete(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.contacts(*people(5))
    pipeline.campaign(SLUG)
    finish = queueing.Queueing._finish

    def late(self: queueing.Queueing, job: Job) -> None:
        rewrite(pipeline, status="processing", sent_count=5)
        finish(self, job)

    monkeypatch.setattr(queueing.Queueing, "_finish", late)
    with desk(pipeline, tmp_path) as ours:
        start(ours.pipe, ours.queueing, ours.plan(), "ana")
    item = pipeline.item(SLUG)
    assert item["status"] == "completed"
    assert item["completed_at"]
