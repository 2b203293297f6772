"""Pause, resume and cancel are marks in the item; the log of a run says what came of it, and only grows."""

import json
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from backends.serverless import following
from backends.serverless.following import Teller, closing, follow
from backends.serverless.queueing import LEASE
from backends.serverless.runwords import broken_off, counts_of, says_of, word_of
from backends.serverless.signals import signal
from backends.serverless.starting import start
from backends.serverless.state import run_state
from opsconsole.observation import Says
from opsconsole.ports import Followed, OutOfReach, Refused, RunState, Trouble, Verb
from opsconsole.runlines import read_line
from tests.domain.words import NOW
from tests.serverless.sending import SLUG, Clock, desk, people, queued, rewrite
from tests.support.aws import Pipeline

STALL = timedelta(minutes=5)
LONG_AGO = (NOW - timedelta(minutes=30)).isoformat()


def an_item(**more: Any) -> dict[str, Any]:
    return {
        "campaign_id": SLUG,
        "status": "processing",
        "run_id": "0123456789abcdef",
        "started_at": LONG_AGO,
        "progress_at": LONG_AGO,
        "total_contacts": 100,
        "queued_count": 100,
        "queued_at": LONG_AGO,
        "sent_count": 60,
        "failed_count": 3,
        **more,
    }


@pytest.mark.parametrize(
    ("more", "left", "says"),
    [
        ({}, 37, Says.RUNNING),
        ({}, None, Says.RUNNING),
        ({}, 0, Says.STARTED),
        ({"progress_at": NOW.isoformat()}, 0, Says.RUNNING),
        ({"paused": True}, 37, Says.PAUSED),
        ({"queued_at": "", "queueing_until": int(NOW.timestamp()) + LEASE}, 37, Says.RUNNING),
        ({"queued_at": ""}, 37, Says.STARTED),
        ({"status": "completed"}, 0, Says.ENDED),
        ({"status": "cancelled"}, 0, Says.ENDED),
        ({"status": "cancelled", "cancelled_at": NOW.isoformat()}, 0, Says.RUNNING),
        ({"status": "cancelled", "cancelled_at": LONG_AGO}, 0, Says.ENDED),
        ({"status": "cancelled", "run_id": "", "sent_count": 0, "failed_count": 0}, 0, Says.CANCELLED),
        ({"status": "draft", "run_id": ""}, 0, Says.NOTHING),
        ({"status": ["odd"]}, 0, Says.NOTHING),
        ({"queued_at": "", "run_id": ""}, 37, Says.RUNNING),
    ],
)
def test_what_an_item_says_of_its_run(more: dict[str, Any], left: int | None, says: Says) -> None:
    assert says_of(an_item(**more), NOW, left, STALL) is says


def test_a_broken_off_queueing_says_where_it_broke_off() -> None:
    item = an_item(queued_at=None, queued_count=40)
    assert broken_off(item, NOW)
    assert word_of(item, NOW).note == "queueing broke off at 40 of 100: nobody queues the rest"


def test_who_was_deleted_meanwhile_is_not_in_the_total() -> None:
    counts = counts_of(an_item(missing_count=2, suppressed_count=1, unknown_count=4))
    assert (counts.total, counts.accepted, counts.failed, counts.unknown) == (97, 60, 3, 4)


@pytest.mark.parametrize(
    "odd",
    [
        {"sent_count": -1, "failed_count": "x", "total_contacts": 10**30, "started_at": 5},
        {"status": None, "run_id": 7, "queueing_until": "soon", "paused": "yes", "void_runs": 3},
        {"started_at": "0001-01-01", "completed_at": "\x1b[31m", "pause_reason": {"a": 1}},
    ],
)
def test_an_item_may_hold_anything(odd: dict[str, Any]) -> None:
    item = an_item(**odd)
    word_of(item, NOW)
    says_of(item, NOW, None, STALL)
    assert read_line(closing(item)) is not None


def test_progress_lines_are_read_like_our_runners_and_told_once() -> None:
    teller = Teller(SLUG)
    line = teller.progress(an_item(), Says.RUNNING, 10.0, NOW.isoformat())
    event = read_line(line)
    assert event is not None
    assert (event.ours, event.total, event.accepted, event.failed) == (True, 100, 60, 3)
    assert not teller.progress(an_item(), Says.RUNNING, 11.0, NOW.isoformat())
    event = read_line(teller.progress(an_item(sent_count=80), Says.RUNNING, 20.0, NOW.isoformat()))
    assert event is not None
    assert event.rate == 2.0
    assert event.eta_s == round(17 / 2)


def test_the_closing_line_tells_the_counts_and_the_exit_code() -> None:
    event = read_line(closing(an_item(status="completed", completed_at=NOW.isoformat(), unknown_count=1)))
    assert event is not None
    assert (event.ends, event.rc, event.unknown, event.duration_s) == (True, 1, 1, 1800.0)


@pytest.mark.slow
def test_a_run_is_paused_resumed_and_cancelled(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.contacts(*people(20))
    pipeline.campaign(SLUG)
    with desk(pipeline, tmp_path) as ours:
        with pytest.raises(Refused, match="it can't pause"):
            signal(ours.pipe, SLUG, 1, Verb.PAUSE)
        start(ours.pipe, ours.queueing, ours.plan(), "ana")
        ours.queueing.close()
        assert signal(ours.pipe, SLUG, 1, Verb.PAUSE).says is Says.PAUSED
        assert pipeline.item(SLUG)["paused"] is True
        resumed = signal(ours.pipe, SLUG, 1, Verb.RESUME)
        assert resumed.says is Says.RUNNING
        assert resumed.can == {Verb.PAUSE, Verb.CANCEL}

        rewrite(pipeline, sent_count=7)
        cancelled = signal(ours.pipe, SLUG, 1, Verb.CANCEL)
        assert cancelled.says is Says.RUNNING, "what is on its way is still counted"
        assert "7 were sent, what is on its way" in cancelled.word.note
        assert not cancelled.can
        ours.clock.ahead = timedelta(seconds=11)
        ended = run_state(ours.pipe, SLUG)
        assert ended is not None
        assert (ended.says, cancelled.word.rc, ended.word.rc) == (Says.ENDED, None, 143)
        with pytest.raises(Refused, match=r"cancelled, 7 were sent: it can't resume"):
            signal(ours.pipe, SLUG, 1, Verb.RESUME)
    assert queued(pipeline) == people(20), "what is queued is dropped by the workers, by the status"


@pytest.mark.slow
def test_a_lost_answer_to_a_pause_is_looked_after(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.campaign(SLUG, status="processing", run_id="r1", total_contacts=5, queued_count=5, queued_at="x")
    with desk(pipeline, tmp_path) as ours:
        pipeline.cloud.fault("dynamodb.UpdateItem", "lose")
        assert signal(ours.pipe, SLUG, 1, Verb.PAUSE).says is Says.PAUSED
        pipeline.cloud.fault("dynamodb.UpdateItem", "cut")
        with pytest.raises(Trouble, match="isn't told to resume"):
            signal(ours.pipe, SLUG, 1, Verb.RESUME)


@pytest.mark.slow
def test_a_cancel_that_was_done_is_not_called_nothing_where_it_cant_be_read_again(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    pipeline.campaign(SLUG, status="processing", run_id="r1", total_contacts=5, queued_count=5, queued_at="x")
    with desk(pipeline, tmp_path) as ours:
        pipeline.cloud.fault("dynamodb.GetItem", "deny", times=9, after=1)
        with pytest.raises(Trouble, match="was told to cancel; what came of it can't be told") as told:
            signal(ours.pipe, SLUG, 1, Verb.CANCEL)
    assert not isinstance(told.value, Refused | OutOfReach)
    pipeline.cloud.faults.clear()
    assert pipeline.item(SLUG)["status"] == "cancelled"


@pytest.mark.slow
def test_following_a_run_tells_it_to_its_end_and_the_same_bytes_again(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "EVERY", 0.02)
    pipeline.contacts(*people(4))
    pipeline.campaign(SLUG)
    with desk(pipeline, tmp_path) as ours, desk(pipeline, tmp_path) as beside:
        start(ours.pipe, ours.queueing, ours.plan(), "ana")
        ours.queueing.close()
        heard: list[bytes] = []
        other: list[bytes] = []
        ends: dict[str, Followed] = {}
        never = threading.Event()

        def first() -> None:
            ends["ana"] = follow(ours.pipe, ours.queueing, SLUG, 1, 0, heard.append, never)

        def second() -> None:
            ends["ben"] = follow(beside.pipe, beside.queueing, SLUG, 1, 0, other.append, never)

        threads = [threading.Thread(target=each) for each in (first, second)]
        for thread in threads:
            thread.start()
        pipeline.deliveries(SLUG, "failed", people(4)[0], error="550 no such user ana@example.com", error_class="x")
        rewrite(pipeline, status="processing", sent_count=2, failed_count=1)
        while not any(b'"accepted": 2' in data for data in heard):
            threads[0].join(0.02)
            assert threads[0].is_alive()
        rewrite(pipeline, status="completed", sent_count=3, failed_count=1, completed_at=ours.clock().isoformat())
        for thread in threads:
            thread.join(20)

        whole = b"".join(heard)
        assert ends["ana"].end is not None
        assert ends["ana"].end.says is Says.ENDED
        assert ends["ana"].offset == len(whole)
        again: list[bytes] = []
        late = follow(beside.pipe, beside.queueing, SLUG, 1, 10, again.append, never)
        assert b"".join(again) == whole[10:]
        assert late.end == ends["ana"].end
        assert b"".join(other) == whole[: len(b"".join(other))], "two followers: one writes, both read the same"
        assert whole.count(b'"summary": true') == 1
        assert b"queue: 4 waiting" in whole
        assert b"no such user" in whole
        assert b"ana@example.com" not in whole
        state = run_state(ours.pipe, SLUG)
        assert isinstance(state, RunState)
        assert state.out_size == len(whole)
        with pytest.raises(Trouble, match="shorter than"):
            follow(ours.pipe, ours.queueing, SLUG, 1, len(whole) + 1, again.append, never)
    for line in whole.splitlines():
        if line.startswith(b"{"):
            json.loads(line)


@pytest.mark.slow
def test_following_survives_answers_that_do_not_come(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "EVERY", 0.02)
    monkeypatch.setattr(following, "PAUSES", (0.02,))
    pipeline.campaign(SLUG, status="completed", run_id="r1", total_contacts=1, sent_count=1)
    with desk(pipeline, tmp_path, Clock()) as ours:
        pipeline.cloud.fault("dynamodb.GetItem", "throttle", times=3, after=1)
        heard: list[bytes] = []
        end = follow(ours.pipe, ours.queueing, SLUG, 1, 0, heard.append, threading.Event()).end
    assert end is not None
    assert end.word.rc == 0
