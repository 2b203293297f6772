"""A released attempt says nothing any more, whatever it left; the one behind it is the next."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from opsconsole.hostfacts import RunFact
from opsconsole.observation import Says
from tests.blasthost.test_words import FINISHED, LIVE, LOGGED, NOW, STARTED, folder, looked, run, said

CLAIMED_AT = datetime.fromisoformat("2026-05-12T17:40:00+00:00")
GIVEN_UP = int((CLAIMED_AT + timedelta(minutes=8)).timestamp() * 1e9)
BACK = {"released": True, "released_ns": GIVEN_UP}

CASES: list[tuple[str, tuple[RunFact, ...], Says, int]] = [
    ("no attempt", (), Says.NOTHING, 1),
    ("1 claimed", (run(),), Says.CLAIMED, 1),
    ("1 ended", (run(started=STARTED, finished=FINISHED),), Says.ENDED, 1),
    ("1 in doubt", (run(started=STARTED),), Says.STARTED, 1),
    ("1 released, never started", (run(**BACK),), Says.NOTHING, 2),
    ("1 released after an end", (run(started=STARTED, finished=FINISHED, **BACK),), Says.NOTHING, 2),
    ("1 released in doubt, by hand", (run(started=STARTED, **BACK),), Says.NOTHING, 2),
    ("1 released and at work all the same", (replace(LIVE, **BACK),), Says.RUNNING, 2),
    ("1 released, 2 claimed", (run(**BACK), run(2)), Says.CLAIMED, 2),
    ("1 released after an end, 2 claimed", (run(finished=FINISHED, **BACK), run(2)), Says.CLAIMED, 2),
    ("1 released, 2 goes", (run(**BACK), replace(LIVE, attempt=2)), Says.RUNNING, 2),
    ("1 released, 2 in doubt", (run(started=STARTED, **BACK), run(2, started=STARTED)), Says.STARTED, 2),
    ("1 released, 2 ended", (run(**BACK), run(2, started=STARTED, finished=FINISHED)), Says.ENDED, 2),
    ("both released", (run(**BACK), run(2, started=STARTED, finished=FINISHED, **BACK)), Says.NOTHING, 3),
    ("claimed by whom can't be told", (RunFact(attempt=1),), Says.CLAIMED, 1),
    ("ten of them", tuple(run(number, **BACK) for number in range(1, 11)), Says.NOTHING, 11),
]


@pytest.mark.parametrize(
    ("runs", "says", "following"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_what_is_said_and_which_attempt_is_next(runs, says, following):
    observation = said(folder(runs=runs))
    assert (observation.says, observation.next_attempt) == (says, following)
    assert observation.is_fresh(NOW)


def log(first: str, last: str) -> str:
    return f"{first} send started: run r1\n{last} 3 recipients processed\n{last} 0 SMTP failures\n"


WITHIN = log("2026-05-12 17:41:00Z", "2026-05-12 17:45:00Z")
ENDED = run(started=STARTED, finished=FINISHED, **BACK)
LOGS = [
    ("the released attempt's own", WITHIN, ENDED, Says.NOTHING),
    ("of one that never started, so not its own", WITHIN, run(**BACK), Says.ENDED),
    ("of a send before it", log("2026-05-12 09:41:00Z", "2026-05-12 09:45:00Z"), ENDED, Says.ENDED),
    ("of a send after it", log("2026-05-12 17:49:00Z", "2026-05-12 17:50:00Z"), ENDED, Says.ENDED),
    ("begun before it", log("2026-05-12 17:20:00Z", "2026-05-12 17:45:00Z"), ENDED, Says.ENDED),
    ("without times: anybody's", LOGGED, ENDED, Says.ENDED),
]


@pytest.mark.parametrize(("text", "attempt", "says"), [case[1:] for case in LOGS], ids=[case[0] for case in LOGS])
def test_a_run_log_is_passed_over_only_where_its_own_times_say_that_it_is_the_released_attempts(
    text, attempt, says
):
    assert said(folder(log=text, runs=(attempt,))).says is says


def test_a_silent_supervisor_is_told_on_the_board_in_the_hosts_own_time():
    beat = NOW - timedelta(minutes=3)
    silent = replace(LIVE, beat_ns=int(beat.timestamp() * 1e9))
    (observation,) = looked(folder(runs=(silent,)), epoch=NOW.timestamp()).observations
    assert observation.says is Says.RUNNING
    assert observation.run is not None
    assert observation.run.beat_at == beat
    assert "its supervisor gave no sign of life for 3 min" in observation.run.note
    off = looked(folder(runs=(silent,)), epoch=NOW.timestamp() - 150, clock_offset=-150.0).observations[0]
    assert off.run is not None
    assert "no sign of life" not in off.run.note
    assert off.run.beat_at == beat + timedelta(seconds=150)
