"""A start is one conditional write: there is one winner, and whoever comes second is told who that is."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from backends.serverless.doubts import send_rest
from backends.serverless.signals import signal
from backends.serverless.starting import start
from backends.serverless.state import give_up, run_state
from opsconsole.observation import Says
from opsconsole.ports import MaybeStarted, Refused, Started, Verb
from tests.serverless.sending import SLUG, desk, people, queued, rewrite
from tests.support.aws import Pipeline

pytestmark = pytest.mark.slow


def test_a_start_queues_everybody_once_and_says_so(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.contacts(*people(25))
    pipeline.campaign(SLUG)
    with desk(pipeline, tmp_path) as ours:
        plan = ours.plan()
        started = start(ours.pipe, ours.queueing, plan, "ana")
        assert started.fresh
        assert started.state.says is Says.RUNNING
        assert started.state.run_id == plan.run_id
        ours.queueing.close()

    assert queued(pipeline) == people(25)
    item = pipeline.item(SLUG)
    assert (item["status"], item["run_id"], item["started_by"]) == ("queued", plan.run_id, "ana")
    assert (item["total_contacts"], item["queued_count"], item["queue_cursor"]) == (25, 25, people(25)[-1])
    assert item["queued_at"]
    assert max(len(body) for body in pipeline.bodies()) < 100


def test_of_two_consoles_one_starts_it_and_the_other_is_told_who(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.contacts(*people(30))
    pipeline.campaign(SLUG)
    with desk(pipeline, tmp_path / "a") as ana, desk(pipeline, tmp_path / "b") as ben:
        plans = {"ana": ana.plan(by="ana"), "ben": ben.plan(by="ben")}
        together = threading.Barrier(2)

        def run(name: str) -> Started | Refused:
            mine = ana if name == "ana" else ben
            together.wait(10)
            try:
                return start(mine.pipe, mine.queueing, plans[name], name)
            except Refused as error:
                return error

        with ThreadPoolExecutor(2) as pool:
            found = dict(zip(plans, pool.map(run, plans), strict=True))
    (winner,) = [name for name, what in found.items() if isinstance(what, Started)]
    (loser,) = [what for what in found.values() if isinstance(what, Refused)]
    assert f"by {winner}" in str(loser)
    assert plans[winner].run_id in str(loser)
    assert "Nothing was started" in str(loser)
    assert queued(pipeline) == people(30)
    assert pipeline.item(SLUG)["started_by"] == winner


def test_the_same_plan_started_twice_is_one_run(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.contacts(*people(3))
    pipeline.campaign(SLUG)
    with desk(pipeline, tmp_path) as ours, desk(pipeline, tmp_path) as other:
        plan = ours.plan()
        assert start(ours.pipe, ours.queueing, plan, "ana").fresh
        assert not start(other.pipe, other.queueing, plan, "ana").fresh
    assert queued(pipeline) == people(3)


def test_whatever_moved_since_the_dry_run_makes_the_plan_stale(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.contacts(*people(3))
    pipeline.campaign(SLUG)
    with desk(pipeline, tmp_path) as ours:
        plan = ours.plan()
        rewrite(pipeline, subject="Another")
        with pytest.raises(Refused, match="subject was"):
            start(ours.pipe, ours.queueing, plan, "ana")

        rewrite(pipeline, subject="Hello {{ first_name }}!")
        pipeline.contacts("late@example.com")
        with pytest.raises(Refused, match="audience was 3 in the plan, is 4 now"):
            start(ours.pipe, ours.queueing, plan, "ana")
        with pytest.raises(Refused, match="host was"):
            start(ours.pipe, ours.queueing, replace(plan, host="999999999999 eu-west-1"), "ana")
    assert "run_id" not in pipeline.item(SLUG)
    assert pipeline.depth == 0


@pytest.mark.parametrize("changed", [{"version": 7}, {"body": "<p>Other</p>"}, {"audience_attribute": "plan"}])
def test_a_change_between_the_look_and_the_write_wins(
    pipeline: Pipeline, tmp_path: Path, changed: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.contacts(*people(3))
    pipeline.campaign(SLUG, version=6)
    with desk(pipeline, tmp_path) as ours:
        plan = ours.plan()
        from backends.serverless import starting

        read = starting.read

        def meanwhile(*args: object, **more: object) -> object:
            rewrite(pipeline, **changed)
            return read(*args, **more)  # type: ignore[arg-type]

        monkeypatch.setattr(starting, "read", meanwhile)
        with pytest.raises(Refused, match=r"Nothing was started"):
            start(ours.pipe, ours.queueing, plan, "ana")
    assert "run_id" not in pipeline.item(SLUG)
    assert pipeline.depth == 0


def test_a_lost_answer_is_looked_for_by_the_run_id(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.contacts(*people(12))
    pipeline.campaign(SLUG)
    with desk(pipeline, tmp_path) as ours:
        plan = ours.plan()
        pipeline.cloud.fault("dynamodb.UpdateItem", "lose")
        assert start(ours.pipe, ours.queueing, plan, "ana", sleep=lambda seconds: None).fresh
    assert queued(pipeline) == people(12)


def test_a_start_that_surely_did_not_arrive_can_never_come_late(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.contacts(*people(3))
    pipeline.campaign(SLUG)
    with desk(pipeline, tmp_path) as ours:
        plan = ours.plan()
        pipeline.cloud.fault("dynamodb.UpdateItem", "cut")
        with pytest.raises(Refused, match="can't come late"):
            start(ours.pipe, ours.queueing, plan, "ana", sleep=lambda seconds: None)
        with pytest.raises(Refused, match="was given up"):
            start(ours.pipe, ours.queueing, plan, "ana")
        again = replace(plan, attempt=1, dry_run_seq=2)
        assert start(ours.pipe, ours.queueing, again, "ana").fresh


def test_where_nobody_can_be_asked_it_may_have_started(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.contacts(*people(3))
    pipeline.campaign(SLUG)
    with desk(pipeline, tmp_path) as ours:
        plan = ours.plan()
        pipeline.cloud.fault("dynamodb.UpdateItem", "lose")
        pipeline.cloud.fault("dynamodb.GetItem", "deny", times=50, after=1)
        with pytest.raises(MaybeStarted, match="don't start it by other means"):
            start(ours.pipe, ours.queueing, plan, "ana", sleep=lambda seconds: None)
        pipeline.cloud.faults.clear()
        state = run_state(ours.pipe, SLUG)
        assert state is not None
        assert state.run_id == plan.run_id


def test_a_run_that_never_started_is_given_up_for_good(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.contacts(*people(3))
    pipeline.campaign(SLUG)
    with desk(pipeline, tmp_path) as ours:
        plan = ours.plan()
        assert give_up(ours.pipe, SLUG, plan.run_id) is None
        assert give_up(ours.pipe, SLUG, plan.run_id) is None, "asking again says the same"
        with pytest.raises(Refused, match="given up"):
            start(ours.pipe, ours.queueing, plan, "ana")

        other = replace(plan, dry_run_seq=2)
        start(ours.pipe, ours.queueing, other, "ana")
        found = give_up(ours.pipe, SLUG, other.run_id)
        assert found is not None
        assert found.run_id == other.run_id


def test_a_campaign_that_others_queued_is_not_started_again(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.contacts(*people(3))
    pipeline.campaign(SLUG)
    with desk(pipeline, tmp_path) as ours:
        plan = ours.plan()
        rewrite(pipeline, status="processing", total_contacts=3, queued_count=3)
        with pytest.raises(Refused, match="processing by another system"):
            start(ours.pipe, ours.queueing, plan, "ana")
        with pytest.raises(Refused, match="another system started it"):
            send_rest(ours.pipe, ours.queueing, SLUG, 1, "", "ana")
        state = run_state(ours.pipe, SLUG)
        assert state is not None
        assert (state.says, state.run_id, state.can) == (Says.RUNNING, "", frozenset())
        with pytest.raises(Refused, match="don't obey this console's marks"):
            signal(ours.pipe, SLUG, 1, Verb.PAUSE)
