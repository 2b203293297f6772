"""Since when a backlog stands still, how fast it goes, and the names of campaigns: laws over any past."""

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.serverless.backlog import (
    KEPT_FOR,
    MOST,
    Sample,
    added,
    changed_at,
    dead_grown,
    not_falling_since,
    rate,
)
from backends.serverless.concerns import expected, say_reasons
from backends.serverless.findings import findings
from backends.serverless.looks import Tuning
from backends.serverless.metrics import read
from backends.serverless.reasons import alike, grouped
from backends.serverless.remembering import Memory
from backends.serverless.ses import Account
from backends.serverless.slugs import made_of, named, slug_of
from opsconsole.campaign import is_slug
from tests.serverless.scene import NOW, item, look, past, queue

depths = st.lists(st.integers(0, 50), min_size=1, max_size=30)


@given(depths)
def test_not_falling_is_since_the_first_of_those_that_were_never_more(left: list[int]) -> None:
    history = past(*((float(len(left) - 1 - n), depth, 0) for n, depth in enumerate(left)))
    since = not_falling_since(history)
    if not left[-1]:
        assert since is None
        return
    assert since is not None
    began = next(n for n, sample in enumerate(history) if sample.at == since)
    assert all(depth <= left[-1] for depth in left[began:])
    assert began == 0 or left[began - 1] > left[-1]


def test_between_looks_far_apart_it_may_have_been_empty() -> None:
    assert not_falling_since(past((40, 20, 0), (6, 20, 0), (0, 20, 0))) == NOW - timedelta(minutes=6)


@given(st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 9)), max_size=60))
def test_the_past_is_in_order_and_bounded_however_it_comes(points: list[tuple[int, int]]) -> None:
    history = added((), (Sample(NOW - timedelta(seconds=s), left) for s, left in points))
    assert list(history) == sorted(history, key=lambda s: s.at)
    assert len(history) <= MOST
    assert not history or history[-1].at - history[0].at <= KEPT_FOR


def test_a_rate_needs_two_looks_some_seconds_apart() -> None:
    assert rate(past((0, 9, 0), settled={"a": [5]}), "a") is None
    assert rate(past((0.01, 9, 0), (0, 9, 0), settled={"a": [5, 9]}), "a") is None
    assert rate(past((1, 9, 0), (0, 9, 0), settled={"a": [5, 65]}), "a") == 1.0
    assert rate(past((30, 9, 0), (1, 9, 0), (0, 9, 0), settled={"a": [0, 60, 60]}), "a") == 0.0


def test_a_change_is_when_it_was_first_seen() -> None:
    history = past((9, 0, 0), (6, 0, 0), (3, 0, 0), settled={"a": [1, 2, 2]})
    assert changed_at(history, "a") == NOW - timedelta(minutes=6)
    assert changed_at(history, "b") is None


def test_dead_letters_grew_since_they_were_fewest() -> None:
    assert dead_grown(past((9, 0, 4), (6, 0, 2), (0, 0, 7))) == (5, timedelta(minutes=6))
    assert dead_grown(past((9, 0, 7), (0, 0, 7))) is None


def test_the_past_survives_the_console_and_a_broken_file(tmp_path: Path) -> None:
    Memory(tmp_path, "bulk").take([Sample(NOW - timedelta(minutes=5), 7, 1, {"a": 3})], NOW)
    assert Memory(tmp_path, "bulk").take([], NOW) == (Sample(NOW - timedelta(minutes=5), 7, 1, {"a": 3}),)
    (kept,) = tmp_path.iterdir()
    kept.write_bytes(b'[{"at": "soon"}]')
    assert Memory(tmp_path, "bulk").take([], NOW) == ()
    assert Memory(tmp_path, "bulk").take([Sample(NOW + timedelta(hours=1), 7)], NOW) == ()


def test_a_folder_that_cannot_be_written_takes_nothing_away(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert len(Memory(tmp_path / "file", "bulk").take([Sample(NOW, 1)], NOW)) == 1


@given(st.text(max_size=200))
def test_every_id_has_a_slug(campaign_id: str) -> None:
    assert is_slug(slug_of({"campaign_id": campaign_id}))
    assert is_slug(made_of(campaign_id))


ids = st.sampled_from(["sale", "Sale", "c-1", "c-2", "c 3"])
wanted = st.sampled_from(["sale", "c-1", "", "NO"])


@given(st.lists(st.tuples(ids, wanted, st.booleans()), max_size=5, unique_by=lambda each: each[0]))
def test_no_two_campaigns_share_a_name_and_the_order_they_come_in_is_nothing(
    campaigns: list[tuple[str, str, bool]],
) -> None:
    items = [{"campaign_id": key, "slug": slug, "run_id": "r" if begun else ""} for key, slug, begun in campaigns]
    found = named(items)
    assert sorted(found.values()) == sorted(key for key, _, _ in campaigns)
    assert named(reversed(items)) == found


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            "MessageRejected: Email address is not verified: ana@example.com",
            "MessageRejected: Email address is not verified: …",
        ),
        ("timeout after 12 s (request 5f0a7c2e-91d3-4c44-8a01-b2)", "timeout after 12 s (request …)"),
        ("", "no reason given"),
        ("\x1b[2J", "\\x1b[2J"),
    ],
)
def test_reasons_that_differ_by_person_alone_are_one(error: str, reason: str) -> None:
    assert alike(error) == reason


def test_reasons_are_bounded_and_the_expected_are_left_out_of_the_words() -> None:
    odd = [{"state": "failed", "error": f"kind {'x' * (n % 60)} {chr(97 + n % 26)}{n % 7}"} for n in range(2_000)]
    assert len(grouped(odd).failed) <= 201
    gone = grouped([{"state": "failed", "error": "Contact ana@example.com not found in DynamoDB"}])
    assert expected(gone.failed[0][0])
    assert say_reasons(gone) == ""


def test_cloudwatch_is_believed_only_while_it_is_fresh_and_whole() -> None:
    def series(key: str, *points: tuple[float, float]) -> dict[str, object]:
        return {
            "Id": key,
            "Timestamps": [NOW - timedelta(minutes=m) for m, _ in points],
            "Values": [value for _, value in points],
        }

    found = read(
        [series("age", (2, 300.0)), series("visible", (2, 5.0), (3, 9.0)), series("flight", (2, 1.0))], NOW
    )
    assert found.oldest == NOW - timedelta(minutes=7)
    assert [sample.left for sample in found.samples] == [None, 6]
    assert read([series("age", (12, 300.0))], NOW).oldest is None
    assert read([{"Id": "age"}, {}], NOW).samples == ()


def test_a_quota_runs_out_within_its_window_or_not_at_all() -> None:
    account = Account(per_day=1_000.0, sent=400.0)
    assert account.runs_out(10.0, NOW) == NOW + timedelta(minutes=1)
    assert account.runs_out(0.001, NOW) is None
    assert account.runs_out(None, NOW) is None
    assert Account().used is None


def test_references_of_nobody_are_told_as_campaign_not_found() -> None:
    campaign = item()
    (said,) = findings([campaign], look(campaign, queue=queue(8_000)), Tuning())
    assert said.startswith("campaign not found: 8,000 references are in bulk-email-queue, but only 6,000 are owed")
    assert findings([campaign], look(campaign, queue=queue(6_100)), Tuning()) == ()


def test_dead_letters_and_a_used_quota_are_told_without_a_campaign_under_way() -> None:
    nearly = Account(50_000.0, 14.0, 45_000.0, True, True)
    said = " ".join(findings([], look(queue=queue(0), dead=queue(3, dead=True), account=nearly), Tuning()))
    assert "3 in the dead-letter queue" in said
    assert "45,000 of SES's 50,000" in said
