"""What every backend promises of looking: it is told as it is, changes nothing, and never breaks."""

import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from opsconsole.campaign import check_slug
from opsconsole.digests import content_digest
from opsconsole.observation import Says
from opsconsole.ports import (
    Carrier,
    Identified,
    Inspected,
    NotThere,
    Operates,
    OutOfReach,
    Previews,
    Refused,
    Source,
    Told,
    Trouble,
)
from opsconsole.preflight.check import Check
from tests.contract.bench import Bench

HOSTILE = "[bold]Nights[/] & <script> \u202egnp.exe '; DROP TABLE campaigns; --"


def looks(backend: Any, slug: str) -> None:
    """Everything that only looks."""
    backend.observe()
    backend.run_state(slug)
    backend.preflight_facts(slug)
    backend.checks()
    if isinstance(backend, Operates):
        backend.operations()
        backend.operations(slug)
    if isinstance(backend, Inspected):
        backend.inspect()
    if isinstance(backend, Previews):
        backend.preview(slug, 1)
    backend.observe()


def test_it_is_a_source_and_a_carrier_by_the_name_of_its_table(bench: Bench) -> None:
    backend = bench.backend()
    assert isinstance(backend, Source)
    assert isinstance(backend, Carrier)
    assert backend.name == bench.name
    assert all(isinstance(check, Check) for check in backend.checks())
    ids = [check.id for check in backend.checks()]
    assert len(ids) == len(set(ids))
    backend.close()


def test_a_report_says_when_and_of_whom_with_slugs_in_the_grammar(bench: Bench) -> None:
    slug = bench.campaign("ana@example.com")
    backend = bench.backend()
    report = backend.observe()
    assert (report.source, report.trouble, report.out_of_reach_since) == (bench.name, "", None)
    assert report.keeps_traces, "a carrier knows when something was started"
    assert report.fresh_for > timedelta(0)
    assert report.looked_at.utcoffset() == timedelta(0)
    seen = [o.slug for o in report.observations]
    assert slug in seen
    assert len(seen) == len(set(seen))
    for o in report.observations:
        assert check_slug(o.slug) == o.slug
        assert o.source == bench.name
        assert o.observed_at is not None
        assert o.observed_at.utcoffset() is not None
        assert o.is_fresh(bench.around.clock()), o
        assert o.keeps_traces
    backend.close()


def test_what_was_never_started_says_so_and_names_its_content_and_its_audience(bench: Bench) -> None:
    slug = bench.campaign("ana@example.com", "ben@example.com")
    backend = bench.backend()
    word = bench.seen(backend, slug)
    assert word.says in (Says.NOTHING, Says.SCHEDULED)
    assert backend.run_state(slug) is None
    assert word.content is not None
    assert word.content.digests
    assert word.content.digest == content_digest(dict(word.content.digests))
    assert word.content.rows in (2, None) or not word.content.rows_exact
    assert word.details.subject == "An evening"
    backend.close()


def test_looking_changes_nothing_there(bench: Bench) -> None:
    slug = bench.campaign("ana@example.com")
    backend = bench.backend()
    before = bench.everything()
    looks(backend, slug)
    assert bench.everything() == before
    backend.close()


def test_out_of_reach_is_a_report_and_every_other_call_says_it_in_words(bench: Bench) -> None:
    slug = bench.campaign("ana@example.com")
    reached = bench.backend()
    plan = bench.planned(reached, slug)
    reached.close()
    before = bench.everything()
    backend = bench.backend(reach=False)
    first, second = backend.observe(), backend.observe()
    for report in (first, second):
        assert report.trouble
        assert report.trouble.endswith((".", "!", "?"))
    assert first.out_of_reach_since == second.out_of_reach_since is not None
    calls: tuple[Callable[[], object], ...] = (
        lambda: backend.preflight_facts(slug),
        lambda: backend.run_state(slug),
        lambda: backend.start(plan, "mara"),
    )
    for call in calls:
        with pytest.raises(OutOfReach):
            call()
    if isinstance(backend, Operates):
        with pytest.raises(Trouble):
            backend.operations()
    if isinstance(backend, Identified):
        assert backend.identity() == ""
    backend.close()
    assert bench.everything() == before


def test_what_is_not_there_is_not_there(bench: Bench) -> None:
    backend = bench.backend()
    backend.observe()
    none = "no-such-campaign"
    with suppress(Refused):
        assert not any(backend.preflight_facts(none).digests.values())
    with suppress(Refused):
        assert not backend.dry_run(none, lambda data: None, threading.Event()).ok
    with suppress(NotThere):
        assert backend.run_state(none) is None
    backend.close()


def test_text_from_outside_stays_text(bench: Bench) -> None:
    slug = bench.campaign("ana@example.com", subject=HOSTILE)
    backend = bench.backend()
    assert bench.seen(backend, slug).details.subject == HOSTILE
    looks(backend, slug)
    backend.close()


def test_what_it_tells_of_itself_is_sentences(bench: Bench) -> None:
    backend = bench.backend()
    if isinstance(backend, Inspected):
        told = backend.inspect()
        assert told
        assert all(isinstance(one, Told) and one.says for one in told)
    backend.close()


def test_it_can_be_closed_twice_and_before_it_was_used(bench: Bench) -> None:
    backend = bench.backend()
    backend.close()
    backend.close()
