"""After a run that broke: who is unknown, who provably got nothing, what a person decides, and the rest of it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from backends.serverless.deliveries import left_behind, row_of, unknown
from backends.serverless.doubts import against, decide, doubt, send_rest
from backends.serverless.starting import start
from backends.serverless.state import run_state
from opsconsole.observation import Says
from opsconsole.ports import EveryUnknown, Fate, OutOfReach, Refused, Trouble
from tests.domain.words import NOW
from tests.serverless.sending import SLUG, Clock, Desk, desk, people, queued, rewrite
from tests.support.aws import Pipeline

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC).isoformat()
STALL = timedelta(minutes=5)


def going(**more: Any) -> dict[str, Any]:
    return {"status": "processing", "run_id": "r1", "queued_at": LONG_AGO, "progress_at": LONG_AGO, **more}


@pytest.mark.parametrize(
    ("item", "left", "why"),
    [
        (going(), 0, ""),
        (going(), 40, ""),
        (going(progress_at=NOW.isoformat()), 40, "40 references are still in the queues"),
        (going(paused=True), 0, "paused"),
        (going(status="cancelled"), 0, "cancelled"),
        (going(status="draft"), 0, "wasn't started"),
        (going(run_id=""), 0, "another system"),
        (going(queueing_until=int(NOW.timestamp()) + 60), 0, "somebody is queueing"),
        (going(status="completed"), 0, ""),
    ],
)
def test_why_the_rest_can_not_be_sent(item: dict[str, Any], left: int, why: str) -> None:
    said = against(item, NOW, left, STALL)
    assert why in said
    assert bool(why) == bool(said)


@pytest.mark.parametrize(
    ("delivery", "visibility", "lost"),
    [
        ({"state": "unknown"}, 30, True),
        ({"state": "sending", "begun_at": (NOW - timedelta(minutes=16)).isoformat()}, 30, True),
        ({"state": "sending", "begun_at": (NOW - timedelta(minutes=14)).isoformat()}, 30, False),
        ({"state": "sending", "begun_at": (NOW - timedelta(minutes=16)).isoformat()}, 3600, False),
        ({"state": "sending", "begun_at": "rubbish"}, 30, True),
        ({"state": "sent"}, 30, False),
        ({"state": "resend"}, 30, False),
        ({"state": ["odd"]}, 30, False),
    ],
)
def test_of_whom_nobody_knows(delivery: dict[str, Any], visibility: int, lost: bool) -> None:
    assert left_behind(delivery, NOW, visibility) is lost


def test_an_unknown_one_is_shown_masked_by_a_number_that_stays() -> None:
    shown = unknown("r1", {"contact_email": "ana@example.com", "worker": "w\n1", "begun_at": LONG_AGO})
    assert shown.who == "a•••@example.com"
    assert shown.row == row_of("r1", "ana@example.com") != row_of("r2", "ana@example.com")
    assert "ana" not in shown.why


def broken(pipeline: Pipeline, **more: Any) -> None:
    """A run of six: two sent, one failed, one unknown, one begun and never ended, one never begun."""
    pipeline.contacts(*people(6))
    pipeline.campaign(
        SLUG,
        status="processing",
        run_id="r1",
        started_at=LONG_AGO,
        queued_at=LONG_AGO,
        progress_at=LONG_AGO,
        total_contacts=6,
        queued_count=6,
        queue_cursor=people(6)[-1],
        sent_count=2,
        failed_count=1,
        missing_count=0,
        suppressed_count=0,
        unknown_count=1,
        **more,
    )
    sent1, sent2, failed, lost, begun, _ = people(6)
    pipeline.deliveries(SLUG, "sent", sent1, sent2)
    pipeline.deliveries(SLUG, "failed", failed, error="550")
    pipeline.deliveries(SLUG, "unknown", lost, begin_id="b1")
    pipeline.deliveries(SLUG, "sending", begun, begun_at=LONG_AGO, worker="w1", begin_id="b2")


@pytest.mark.slow
def test_a_broken_run_is_told_person_by_person(pipeline: Pipeline, tmp_path: Path) -> None:
    broken(pipeline)
    with desk(pipeline, tmp_path) as ours:
        state = run_state(ours.pipe, SLUG)
        assert state is not None
        assert state.says is Says.STARTED, "nothing is in the queue, and not everybody came to an end"
        found = doubt(ours.pipe, SLUG, 1)
    assert (found.unsent, found.unknown_total, found.against) == (1, 2, "")
    assert [one.row for one in found.unknown] == sorted(row_of("r1", email) for email in people(6)[3:5])
    assert all(one.who == "p•••@example.com" for one in found.unknown)
    assert "example" not in found.maillog


@pytest.mark.slow
def test_what_a_person_decides_is_written_and_counted(pipeline: Pipeline, tmp_path: Path) -> None:
    broken(pipeline)
    _, _, _, lost, begun, nobody = people(6)
    fates = {row_of("r1", lost): Fate.RESEND, row_of("r1", begun): Fate.SENT}
    with desk(pipeline, tmp_path) as ours:
        left = decide(ours.pipe, SLUG, 1, "r1", fates, "ana")
        assert (left.unsent, left.unknown_total) == (2, 0)
        deliveries = pipeline.delivered(SLUG)
        assert (deliveries[lost]["state"], deliveries[begun]["state"]) == ("resend", "sent")
        assert deliveries[lost]["decided_by"] == "ana"
        item = pipeline.item(SLUG)
        assert (item["sent_count"], item["unknown_count"]) == (3, 0)

        with pytest.raises(Refused, match="aren't unknown"):
            decide(ours.pipe, SLUG, 1, "r1", fates, "ana")
        ours.clock.ahead = timedelta(minutes=6)  # deciding counts as movement: the workers have their time
        assert send_rest(ours.pipe, ours.queueing, SLUG, 1, "r1", "ana").fresh
    assert queued(pipeline) == sorted([lost, nobody])
    assert pipeline.item(SLUG)["rest_by"] == "ana"


@pytest.mark.slow
def test_a_decision_that_is_written_is_not_called_refused_where_the_rest_cant_be_read(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    broken(pipeline)
    _, _, _, lost, _, _ = people(6)
    with desk(pipeline, tmp_path) as ours:
        pipeline.cloud.fault("dynamodb.GetItem", "deny", times=9, after=1)
        with pytest.raises(Trouble, match="1 decisions on spring-sale are written") as told:
            decide(ours.pipe, SLUG, 1, "r1", {row_of("r1", lost): Fate.SENT}, "ana")
    assert not isinstance(told.value, Refused | OutOfReach)
    assert pipeline.delivered(SLUG)[lost]["state"] == "sent"


@pytest.mark.slow
def test_every_unknown_one_is_decided_alike_or_nobody_is(pipeline: Pipeline, tmp_path: Path) -> None:
    broken(pipeline)
    with desk(pipeline, tmp_path) as ours:
        with pytest.raises(Refused, match="2 recipients are unknown now, not 3"):
            decide(ours.pipe, SLUG, 1, "r1", EveryUnknown(fate=Fate.SENT, count=3), "ana")
        with pytest.raises(Refused, match="aren't unknown"):
            decide(ours.pipe, SLUG, 1, "r1", {row_of("r1", people(6)[3]): Fate.SENT, 5: Fate.SENT}, "ana")
        with pytest.raises(Refused, match="no such run"):
            decide(ours.pipe, SLUG, 1, "r2", EveryUnknown(fate=Fate.SENT, count=2), "ana")
        assert {d["state"] for d in pipeline.delivered(SLUG).values()} == {"sent", "failed", "unknown", "sending"}
        assert decide(ours.pipe, SLUG, 1, "r1", EveryUnknown(fate=Fate.SENT, count=2), "ana").unknown_total == 0
    assert pipeline.item(SLUG)["sent_count"] == 4


@pytest.mark.slow
def test_a_worker_that_was_only_slow_wins_over_the_decision(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(pipeline)
    begun = people(6)[4]
    with desk(pipeline, tmp_path) as ours:
        from backends.serverless import doubts

        write = doubts._write

        def meanwhile(*args: Any) -> None:
            pipeline.deliveries(SLUG, "sent", begun, begin_id="b2")
            write(*args)

        monkeypatch.setattr(doubts, "_write", meanwhile)
        with pytest.raises(Refused):
            decide(ours.pipe, SLUG, 1, "r1", {row_of("r1", begun): Fate.RESEND}, "ana")
    assert pipeline.delivered(SLUG)[begun]["state"] == "sent"
    assert pipeline.item(SLUG)["sent_count"] == 2, "counts and decisions are written together, or not at all"


@pytest.mark.slow
def test_the_last_decision_completes_the_run(pipeline: Pipeline, tmp_path: Path) -> None:
    broken(pipeline)
    pipeline.deliveries(SLUG, "sent", people(6)[5])
    rewrite(pipeline, sent_count=3)
    with desk(pipeline, tmp_path) as ours:
        decide(ours.pipe, SLUG, 1, "r1", EveryUnknown(fate=Fate.SENT, count=2), "ana")
        state = run_state(ours.pipe, SLUG)
    assert pipeline.item(SLUG)["status"] == "completed"
    assert state is not None
    assert (state.says, state.word.rc) == (Says.ENDED, 1)


@pytest.mark.slow
def test_the_rest_of_a_completed_run_makes_it_go_again(pipeline: Pipeline, tmp_path: Path) -> None:
    broken(pipeline)
    pipeline.deliveries(SLUG, "sent", people(6)[5])
    pipeline.deliveries(SLUG, "unknown", people(6)[4], begin_id="b2")
    rewrite(pipeline, sent_count=3, unknown_count=2, status="completed", completed_at=LONG_AGO)
    with desk(pipeline, tmp_path) as ours:
        with pytest.raises(Refused, match="Nobody is left"):
            send_rest(ours.pipe, ours.queueing, SLUG, 1, "r1", "ana")
        decide(ours.pipe, SLUG, 1, "r1", {row_of("r1", people(6)[3]): Fate.RESEND}, "ana")
        assert send_rest(ours.pipe, ours.queueing, SLUG, 1, "r1", "ana").fresh
        ours.queueing.close()
    item = pipeline.item(SLUG)
    assert queued(pipeline) == [people(6)[3]]
    assert item["status"] == "processing"
    assert "completed_at" not in item


@pytest.mark.slow
def test_who_came_after_the_start_is_not_of_the_rest(pipeline: Pipeline, tmp_path: Path) -> None:
    broken(pipeline)
    pipeline.contacts("late@example.com", created_at=datetime.now(UTC).isoformat())
    with desk(pipeline, tmp_path) as ours:
        assert doubt(ours.pipe, SLUG, 1).unsent == 1
        send_rest(ours.pipe, ours.queueing, SLUG, 1, "r1", "ana")
    assert queued(pipeline) == [people(6)[5]]


@pytest.mark.slow
def test_nobody_who_got_it_is_of_the_rest_by_another_spelling(pipeline: Pipeline, tmp_path: Path) -> None:
    broken(pipeline)
    pipeline.contacts(people(6)[0].upper())
    with desk(pipeline, tmp_path) as ours:
        assert doubt(ours.pipe, SLUG, 1).unsent == 1
        send_rest(ours.pipe, ours.queueing, SLUG, 1, "r1", "ana")
    assert queued(pipeline) == [people(6)[5]]


@pytest.mark.slow
def test_more_than_were_planned_are_not_sent_to_where_nobody_can_tell_who_came_later(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    broken(pipeline)
    pipeline.contacts("late@example.com")
    with desk(pipeline, tmp_path) as ours:
        assert "1 more contact fits its audience than was planned" in doubt(ours.pipe, SLUG, 1).against
        with pytest.raises(Refused, match="created_at"):
            send_rest(ours.pipe, ours.queueing, SLUG, 1, "r1", "ana")
        rewrite(pipeline, queued_at=None, queue_cursor=people(6)[4], queued_count=5)
        with pytest.raises(Refused, match="created_at"):
            send_rest(ours.pipe, ours.queueing, SLUG, 1, "r1", "ana")
    assert queued(pipeline) == []


@pytest.mark.slow
def test_where_the_queue_was_emptied_the_journal_is_not_believed(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.contacts(*people(6))
    pipeline.campaign(SLUG)
    with desk(pipeline, tmp_path) as ours:
        run_id = _started(ours)
        pipeline.cloud.client("sqs").purge_queue(QueueUrl=pipeline.queue_url)
        pipeline.deliveries(SLUG, "sent", people(6)[0])
        rewrite(pipeline, queued_at=None, queue_cursor=people(6)[2], queued_count=3, sent_count=1)
        assert doubt(ours.pipe, SLUG, 1).unsent == 5
        send_rest(ours.pipe, ours.queueing, SLUG, 1, run_id, "ana")
    item = pipeline.item(SLUG)
    assert queued(pipeline) == people(6)[1:]
    assert (bool(item["queued_at"]), item["queued_count"]) == (True, 6)


@pytest.mark.slow
def test_the_rest_is_sent_by_one_console_alone(pipeline: Pipeline, tmp_path: Path) -> None:
    broken(pipeline)
    with desk(pipeline, tmp_path) as ours, desk(pipeline, tmp_path) as other:
        from backends.serverless import doubts

        def both(*args: Any) -> Any:
            """The other one looks as well, before either has written."""
            doubts.look, looked = look, look(*args)
            assert send_rest(other.pipe, other.queueing, SLUG, 1, "r1", "ben").fresh
            other.queueing.close()
            return looked

        look, doubts.look = doubts.look, both
        try:
            with pytest.raises(Refused, match="Somebody else goes on"):
                send_rest(ours.pipe, ours.queueing, SLUG, 1, "r1", "ana")
        finally:
            doubts.look = look
    assert queued(pipeline) == [people(6)[5]]


@pytest.mark.slow
def test_a_lost_answer_to_the_lease_is_looked_for(pipeline: Pipeline, tmp_path: Path) -> None:
    broken(pipeline)
    with desk(pipeline, tmp_path) as ours:
        pipeline.cloud.fault("dynamodb.UpdateItem", "cut")
        with pytest.raises(Trouble, match="Nothing was queued"):
            send_rest(ours.pipe, ours.queueing, SLUG, 1, "r1", "ana")
        pipeline.cloud.fault("dynamodb.UpdateItem", "lose")
        assert send_rest(ours.pipe, ours.queueing, SLUG, 1, "r1", "ana").fresh
    assert queued(pipeline) == [people(6)[5]]


@pytest.mark.slow
def test_the_rest_of_a_run_that_just_began_waits_for_the_workers(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.contacts(*people(3))
    pipeline.campaign(SLUG)
    clock = Clock()
    with desk(pipeline, tmp_path, clock) as ours:
        plan = _started(ours)
        with pytest.raises(Refused, match="workers come to them"):
            send_rest(ours.pipe, ours.queueing, SLUG, 1, plan, "ana")
        clock.ahead = timedelta(minutes=6)
        assert send_rest(ours.pipe, ours.queueing, SLUG, 1, plan, "ana").fresh, "nothing moves: twice is harmless"


def _started(ours: Desk) -> str:
    plan = ours.plan()
    start(ours.pipe, ours.queueing, plan, "ana")
    ours.queueing.close()
    return plan.run_id
