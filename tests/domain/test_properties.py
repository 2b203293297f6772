"""What must hold for any words of any sources, in any order."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsconsole.campaign import Approval
from opsconsole.observation import Counts, Observation, RunWord, Says
from opsconsole.verdict import Group, Status, judge
from tests.domain.words import APPROVAL, DETAILS, DIGEST, HOLD, NOW, POLICY, SLUG, line

ALONE = Approval(by="mara", at=NOW, digest=DIGEST, expires=NOW + timedelta(minutes=15), alone=True)
TWO = replace(POLICY, four_eyes=True)
SPANS = st.integers(-30 * 86400, 86400).map(lambda s: timedelta(seconds=s))
INSTANTS = SPANS.map(lambda s: NOW + s)
COUNTS = st.builds(
    Counts,
    total=st.none() | st.integers(0, 5000),
    accepted=st.integers(0, 5000),
    failed=st.integers(0, 9),
    unknown=st.integers(0, 9),
)
RUNS = st.builds(
    RunWord,
    run_id=st.sampled_from(["", "r1", "r2"]),
    by=st.sampled_from(["", "mara"]),
    started_at=st.none() | INSTANTS,
    ended_at=st.none() | INSTANTS,
    progress_at=st.none() | INSTANTS,
    rc=st.sampled_from([None, 0, 1, 78]),
    counts=st.none() | COUNTS,
)
WORDS = st.builds(
    Observation,
    source=st.sampled_from(["dashboard", "blast-mail-prod", "listmonk"]),
    slug=st.just(SLUG),
    observed_at=st.none() | st.integers(-3600, 600).map(lambda s: NOW + timedelta(seconds=s)),
    fresh_for=st.sampled_from([timedelta(seconds=90), timedelta(days=1)]),
    out_of_reach_since=st.none() | INSTANTS,
    says=st.sampled_from(Says),
    keeps_traces=st.booleans(),
    decided=st.booleans(),
    since=st.none() | INSTANTS,
    run=st.none() | RUNS,
    details=st.just(DETAILS),
    approval=st.sampled_from([None, APPROVAL]),
    break_glass=st.sampled_from([None, ALONE, replace(ALONE, expires=NOW - timedelta(hours=1))]),
    closed=st.booleans(),
    next_attempt=st.integers(1, 3),
    holds=st.sampled_from([(), (HOLD,)]),
    triggers=st.sampled_from([(), (line(timedelta(hours=1)),)]),
)
MANY = st.lists(WORDS, min_size=1, max_size=5, unique_by=lambda o: (o.source, o.keeps_traces, o.decided))
NOWS = st.integers(-2 * 86400, 2 * 86400).map(lambda s: NOW + timedelta(seconds=s))


@pytest.mark.slow
@settings(deadline=None)
@given(words=MANY, now=NOWS, data=st.data())
def test_the_order_of_observations_never_changes_a_verdict(words, now, data) -> None:  # type: ignore[no-untyped-def]
    shuffled = data.draw(st.permutations(words))
    assert judge(SLUG, words, POLICY, now) == judge(SLUG, shuffled, POLICY, now)


@pytest.mark.slow
@settings(deadline=None)
@given(words=MANY, now=NOWS)
def test_a_fresh_word_that_it_was_sent_always_blocks_a_send(words, now) -> None:  # type: ignore[no-untyped-def]
    verdict = judge(SLUG, words, POLICY, now)
    if any(o.is_fresh(now) and o.went_out for o in words):
        assert verdict.obstacles
        assert "send" not in verdict.next_steps


@settings(deadline=None)
@given(words=MANY, now=NOWS)
def test_a_stale_source_never_yields_overdue_and_always_blocks(words, now) -> None:  # type: ignore[no-untyped-def]
    verdict = judge(SLUG, words, POLICY, now)
    if any(not o.is_fresh(now) for o in words):
        assert verdict.status not in (Status.OVERDUE, Status.DUE, Status.PENDING, Status.EXPIRED)
        assert verdict.obstacles


@settings(deadline=None)
@given(words=MANY, now=NOWS)
def test_any_start_at_all_blocks_a_send(words, now) -> None:  # type: ignore[no-untyped-def]
    verdict = judge(SLUG, words, POLICY, now)
    if any(o.says in (Says.RUNNING, Says.PAUSED, Says.STARTED, Says.ENDED, Says.CLAIMED) for o in words):
        assert verdict.obstacles


@pytest.mark.slow
@settings(deadline=None)
@given(words=MANY, now=NOWS)
def test_every_verdict_has_a_sentence_and_a_way_on(words, now) -> None:  # type: ignore[no-untyped-def]
    verdict = judge(SLUG, words, POLICY, now)
    assert verdict.why
    assert verdict.next_steps


@pytest.mark.slow
@settings(deadline=None)
@given(words=MANY, now=NOWS)
def test_a_claim_never_yields_something_sendable(words, now) -> None:  # type: ignore[no-untyped-def]
    if any(o.says is Says.CLAIMED for o in words):
        assert judge(SLUG, words, POLICY, now).obstacles


@pytest.mark.slow
@settings(deadline=None)
@given(words=MANY, now=NOWS)
def test_what_is_held_never_yields_something_sendable(words, now) -> None:  # type: ignore[no-untyped-def]
    if any(o.holds for o in words):
        assert judge(SLUG, words, POLICY, now).obstacles


@pytest.mark.slow
@settings(deadline=None)
@given(words=MANY, now=NOWS)
def test_under_four_eyes_only_an_approval_of_this_content_with_an_end_lets_anything_be_sent(  # type: ignore[no-untyped-def]
    words, now
) -> None:
    verdict = judge(SLUG, words, TWO, now)
    counting = [a for a in verdict.approvals if a.digest and a.expires and a.expires > now]
    assert len(counting) == len(verdict.approvals)
    assert verdict.approvals or verdict.obstacles


@pytest.mark.slow
@settings(deadline=None)
@given(words=MANY, now=NOWS)
def test_closing_hides_no_run_that_is_going(words, now) -> None:  # type: ignore[no-untyped-def]
    verdict = judge(SLUG, words, POLICY, now)
    assert verdict.closed <= (verdict.status in (Status.PARTIAL, Status.SENT))
    if verdict.status in (Status.SENDING, Status.PAUSED, Status.STALLED):
        assert verdict.group in (Group.IN_FLIGHT, Group.ATTENTION)
