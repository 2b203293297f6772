"""A run is followed by bytes of a file of ours, through listmonk being away, restarted, and slow."""

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from backends.listmonk.campaigns import Campaign, Running
from backends.listmonk.following import follow
from backends.listmonk.kept import Entry, KeptLog
from backends.listmonk.runwords import counts_of, drained, note_of, run_word, says_of
from backends.listmonk.system import Tuning
from backends.listmonk.trail import Trail, shared, trail
from opsconsole.observation import Says
from opsconsole.ports import Remembered, Trouble
from opsconsole.runlog import Reader
from tests.listmonk.desk import Desk, desk
from tests.support.listmonk import Listmonk

AT = datetime(2026, 7, 2, 8, 0, 0, tzinfo=UTC)
TUNING = Tuning(
    batch_size=1000,
    concurrency=10,
    message_rate=10,
    max_send_errors=1000,
    window=None,
    window_rate=0,
    smtp=(),
)


@pytest.fixture
def at(standin: Listmonk, tmp_path: Path) -> Iterator[Desk]:
    made = desk(standin, tmp_path)
    yield made
    made.backend.close()


def campaign(status: str, *, sent: int = 0, to_send: int = 100, started: bool = True, minutes: int = 1) -> Campaign:
    return Campaign(
        id=5,
        uuid="57702beb-6fae-4355-a324-c2fd5b59a549",
        name="July",
        status=status,
        sent=sent,
        to_send=to_send if started else 0,
        started_at=AT if started else None,
        updated_at=AT + timedelta(minutes=minutes),
    )


def entries(*told: tuple[float, str]) -> list[Entry]:
    return [Entry(AT + timedelta(seconds=second), text) for second, text in told]


PICKED_UP = (0.1, "start processing campaign (July)")


# What its row and its log tell.


def test_a_window_that_is_used_up_is_why_nothing_moves_and_until_when() -> None:
    log = entries(
        PICKED_UP,
        (9, "messages exceeded (500) for the window (1h0m0s since 02 Jul 26 08:00). Sleeping for 51m46s."),
    )
    found = trail(log, campaign("running", sent=500, to_send=900))
    now = AT + timedelta(minutes=10)
    assert "the sliding window is used up" in found.reason(now)
    assert "08:51:55 UTC" in found.reason(now)
    assert found.reason(AT + timedelta(hours=2)) == ""


def test_a_template_that_breaks_is_told_though_the_row_says_running() -> None:
    log = entries((0.1, "error processing campaign (July): template: content:1: function x not defined"))
    found = trail(log, campaign("running", started=False), AT)
    assert "can't process it: template" in note_of(campaign("running", started=False), found, TUNING, AT)


def test_drained_is_what_the_log_says_and_not_what_the_row_says() -> None:
    now, paused = AT + timedelta(minutes=2), campaign("paused", sent=50)
    # the log begins before the campaign did, so that what isn't in it never was
    before = (-60.0, "something else")
    assert drained(paused, trail(entries(before, PICKED_UP), paused), TUNING, now) is False
    stopped = entries(before, PICKED_UP, (60, "stop processing campaign (July)"))
    assert drained(paused, trail(stopped, paused), TUNING, now) is True
    resumed = entries(before, PICKED_UP, (60, "stop processing campaign (July)"), (70, PICKED_UP[1]))
    assert drained(paused, trail(resumed, paused), TUNING, now) is False
    restarted = entries(before, PICKED_UP, (60, "--- listmonk was started again: its log begins anew; lines"))
    assert drained(paused, trail(restarted, paused), TUNING, now) is True


def test_the_drain_of_another_campaign_of_its_name_is_no_word_on_this_one() -> None:
    paused = campaign("paused", sent=50)
    log = trail(entries((-60, "x"), PICKED_UP, (60, "campaign (July) finished")), paused)
    now = AT + timedelta(minutes=2)

    def judged(**other: Any) -> bool | None:
        namesake = replace(paused, **{"id": 6, "status": "finished", **other})
        return drained(paused, shared(log, paused, (paused, namesake)), TUNING, now)

    assert judged() is None
    assert judged(status="running") is None
    assert judged(status="scheduled", started_at=AT) is None
    assert judged(name="June") is True
    assert judged(status="draft", started_at=None) is True
    assert judged(updated_at=AT - timedelta(minutes=5)) is True
    assert judged(updated_at=AT - timedelta(minutes=5), status="cancelled") is None
    assert "names campaigns by name alone" in note_of(
        paused, shared(log, paused, (replace(paused, id=6),)), TUNING, now
    )


def test_a_log_that_doesn_t_reach_back_leaves_it_open_until_a_drain_can_t_take_longer() -> None:
    paused = campaign("paused", sent=50)
    found = trail(entries((90, "something else")), paused)
    assert found.alive is None
    assert drained(paused, found, TUNING, AT + timedelta(minutes=30)) is None
    assert drained(paused, found, TUNING, AT + timedelta(hours=3)) is True
    windowed = Tuning(
        batch_size=1000,
        concurrency=10,
        message_rate=10,
        max_send_errors=1000,
        window=timedelta(hours=1),
        window_rate=100,
        smtp=(),
    )
    assert drained(paused, found, windowed, AT + timedelta(hours=3)) is None  # it may sleep through its batch


def test_of_the_missing_after_a_restart_only_so_many_may_have_been_taken_uncounted() -> None:
    done = campaign("finished", sent=4000, to_send=10_000)
    restart = "--- listmonk was started again: its log begins anew; lines"
    log = entries(
        (-60, "x"), PICKED_UP, (20, "error sending message in campaign July: subscriber 7: EOF"), (30, restart)
    )
    counts = counts_of(done, trail(log, done), TUNING)
    assert (counts.accepted, counts.failed) == (4000, 1)
    assert counts.unknown == 510  # five seconds at a hundred, and ten in hand


def test_a_log_that_isn_t_whole_may_hide_a_restart() -> None:
    done = campaign("finished", sent=4000, to_send=10_000)
    found = trail(entries((30, "something else"), (40, "campaign (July) finished")), done)
    assert not found.whole
    assert counts_of(done, found, TUNING).unknown == 510
    assert "its log isn't whole" in note_of(done, found, TUNING, AT)
    whole = trail(entries((-60, "x"), PICKED_UP, (40, "campaign (July) finished")), done)
    assert counts_of(done, whole, TUNING).unknown == 0


def test_a_name_that_two_campaigns_have_is_bound_by_the_time() -> None:
    older = campaign("finished", sent=98, to_send=100)
    log = entries(
        (-60, "x"),
        PICKED_UP,
        (20, "error sending message in campaign July: subscriber 7: EOF"),
        (60, "campaign (July) finished"),
        (86_400, PICKED_UP[1]),
        (86_401, "error sending message in campaign July: subscriber 8: EOF"),
    )
    assert trail(log, older).failed == ("7",)


def test_whose_run_it_is_is_told_by_when_it_began() -> None:
    mine = Remembered(run_id="a" * 16, attempt=1, at=AT - timedelta(seconds=2), by="mara", planned=100)
    running = Running(id=5, to_send=100, sent=40, started_at=AT, updated_at=AT, rate=600.0, net_rate=600.0)
    now = AT + timedelta(seconds=5)

    def word(remembered: Remembered | None) -> tuple[Says, str, str, float | None]:
        says, found = run_word(
            campaign("running", sent=30),
            Trail(),
            remembered=remembered,
            tuning=TUNING,
            running=running,
            moved_at=None,
            now=now,
        )
        assert found is not None
        assert found.counts is not None
        assert found.counts.accepted == 40  # the newer of the two
        return says, found.run_id, found.by, found.eta_s

    assert word(mine) == (Says.RUNNING, "a" * 16, "mara", 6.0)
    later = Remembered(run_id="b" * 16, attempt=1, at=AT + timedelta(hours=1), by="olga", planned=100)
    assert word(later)[1:3] == ("57702beb6fae4355", "")


@pytest.mark.parametrize(
    ("status", "started", "says"),
    [
        ("draft", False, Says.NOTHING),
        ("scheduled", False, Says.SCHEDULED),
        ("scheduled", True, Says.RUNNING),  # on its way from paused to running
        ("running", False, Says.RUNNING),
        ("paused", True, Says.PAUSED),
        ("cancelled", True, Says.ENDED),
        ("finished", True, Says.ENDED),
    ],
)
def test_each_state_of_its_is_one_word_of_ours(status: str, started: bool, says: Says) -> None:
    assert says_of(campaign(status, started=started), Trail(alive=False), TUNING, AT + timedelta(hours=1)) is says


# The stream.


def test_progress_is_read_by_what_reads_our_own_runner(at: Desk) -> None:
    at.campaign(people=6)
    at.start(at.plan())
    _, said = at.follow()
    reader = Reader()
    reader.feed(said.encode())
    progress = reader.progress
    assert progress.ended
    assert progress.counts is not None
    assert (progress.counts.total, progress.counts.accepted) == (6, 6)
    for line in said.splitlines():
        assert not line.startswith("{") or json.loads(line)["v"] == 1


@pytest.mark.slow
def test_it_is_followed_through_a_time_out_of_reach_and_a_restart(at: Desk) -> None:
    at.standin.configure({"app.concurrency": 2, "app.message_rate": 1000, "app.batch_size": 10})
    at.standin.post.latency = 0.03
    number, _ = at.campaign(people=60)
    at.start(at.plan())
    heard: list[bytes] = []
    ends: list[object] = []
    stop = threading.Event()

    def attend() -> None:
        every = timedelta(seconds=0.1)
        ends.append(follow(at.backend.control, "july", 1, 0, heard.append, stop, every=every))

    watcher = threading.Thread(target=attend)
    watcher.start()
    at.standin.until(lambda: b"start processing" in b"".join(heard))
    at.standin.until(lambda: len(at.standin.post.sent_to(number)) >= 10)
    at.standin.kill()
    stop.wait(0.5)
    assert watcher.is_alive()
    at.standin.post.latency = 0.0
    at.standin.start()
    watcher.join(20)
    assert ends
    said = b"".join(heard).decode()
    assert "was started again" in said
    assert "skipped" in said
    assert said.count("reconciled:") == 1
    assert set(at.standin.post.sent_to(number).values()) == {1}


@pytest.mark.slow
def test_a_second_follower_from_the_middle_gets_the_same_bytes(at: Desk) -> None:
    at.campaign(people=6)
    at.start(at.plan())
    _, said = at.follow()
    middle = len(said.encode()) // 2
    followed, rest = at.follow(offset=middle)
    assert rest.encode() == said.encode()[middle:]
    assert followed.end is not None
    assert followed.end.out_size == followed.offset


@pytest.mark.slow
def test_stopped_it_gives_where_it_was_and_no_end(at: Desk) -> None:
    at.standin.hold_scan(True)
    at.campaign(people=6)
    plan = at.plan()
    at.backend.control.client.put_status(1, "running")
    stop = threading.Event()
    stop.set()
    followed = at.backend.follow("july", 1, 0, lambda data: None, stop)
    assert followed.end is None
    assert plan.slug == "july"


@pytest.mark.slow
def test_a_log_that_is_shorter_than_what_was_read_of_it_is_trouble(at: Desk) -> None:
    at.campaign(people=6)
    at.start(at.plan())
    at.follow()
    with pytest.raises(Trouble, match="shorter"):
        at.follow(offset=10_000_000)


@pytest.mark.slow
def test_a_campaign_that_never_ran_has_nothing_to_follow(at: Desk) -> None:
    at.campaign()
    with pytest.raises(Trouble, match="no run"):
        at.follow()
    assert at.backend.run_state("july") is None
    assert at.backend.run_state("nobody") is None


def test_nothing_of_whom_it_mails_is_written_to_this_machine(at: Desk, tmp_path: Path) -> None:
    at.campaign(people=6)
    at.standin.post.fails_for["july2@example.com"] = "550 <july2@example.com>: password=hunter22 no such user"
    at.start(at.plan())
    _, said = at.follow()
    assert "subscriber" in said
    kept: KeptLog = at.backend.control.kept
    written = b"".join(path.read_bytes() for path in kept.folder.rglob("*") if path.is_file())
    for secret in (b"july2@example.com", b"hunter22", at.listmonk.manager.token.encode()):
        assert secret not in written
