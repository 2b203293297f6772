"""What every carrier promises of a send: what was rehearsed, to each once, and never a second time."""

import itertools
import threading
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from opsconsole.digests import content_digest
from opsconsole.observation import Counts, Says
from opsconsole.ports import Operates, Refused, Trouble, Verb
from tests.contract.bench import Bench, until

_NUMBER = itertools.count(1)


def campaign(bench: Bench, *people: str) -> tuple[str, list[str]]:
    """A campaign to people of its own; its slug and their addresses."""
    number = next(_NUMBER)
    who = [f"{name}-{number}@example.com" for name in people or ("ana", "ben", "cat")]
    return bench.campaign(*who), sorted(who)


def needs_signals(bench: Bench) -> None:
    if not bench.signals:
        pytest.skip(f"runs of {bench.kind} can't be paused or cancelled")


def got(bench: Bench, people: list[str]) -> list[str]:
    """Of these people, who got mail, once for each."""
    return [who for who in bench.mailed() if who in people]


def test_a_dry_run_sends_nothing_and_holds_for_the_very_content_that_is_seen(bench: Bench) -> None:
    slug, people = campaign(bench)
    backend = bench.backend()
    before, word = bench.everything(), bench.seen(backend, slug)
    output: list[bytes] = []
    rehearsed = backend.dry_run(slug, output.append, threading.Event())
    assert (rehearsed.slug, rehearsed.carrier, rehearsed.ok) == (slug, bench.name, True)
    assert (rehearsed.audience, rehearsed.at.utcoffset() is not None) == (len(people), True)
    assert word.content is not None
    assert dict(rehearsed.digests) == dict(word.content.digests)
    assert content_digest(backend.preflight_facts(slug).digests) == rehearsed.digest == word.content.digest
    assert got(bench, people) == []
    assert bench.everything() == before
    bench.change(slug)
    until(lambda: (now := bench.seen(backend, slug).content) and now.digest != rehearsed.digest)  # lists are costly
    backend.close()


def test_a_send_goes_to_each_once_and_its_end_is_told_the_same_way_everywhere(bench: Bench) -> None:
    slug, people = campaign(bench)
    backend = bench.backend()
    plan = bench.planned(backend, slug)
    started = bench.start(backend, plan)
    assert (started.fresh, started.state.run_id, started.state.slug) == (True, plan.run_id, slug)
    bench.work()
    log, followed = bench.follow(backend, slug)
    end = followed.end
    assert end is not None
    assert (end.run_id, end.says, end.word.counts) == (plan.run_id, Says.ENDED, Counts(total=3, accepted=3))
    assert got(bench, people) == people
    assert end.word.ended_at is not None
    assert (followed.offset, end.out_size) == (len(log), len(log))
    assert bench.follow(backend, slug, 7) == (log[7:], followed)
    state = backend.run_state(slug)
    assert state is not None
    assert (state.says, state.run_id, state.can) == (Says.ENDED, plan.run_id, frozenset())
    word = bench.seen(backend, slug)
    assert word.run is not None
    assert (word.says, word.run.run_id, word.run.counts) == (Says.ENDED, plan.run_id, end.word.counts)
    again = bench.backend()  # another console, which saw none of it
    assert bench.seen(again, slug).says is Says.ENDED
    again.close()
    backend.close()


def test_what_was_changed_after_the_dry_run_is_not_sent(bench: Bench) -> None:
    slug, people = campaign(bench)
    backend = bench.backend()
    plan = bench.planned(backend, slug)
    bench.change(slug)
    with pytest.raises(Refused, match="stale"):
        bench.start(backend, plan)
    bench.work()
    assert got(bench, people) == []
    assert backend.run_state(slug) is None
    backend.close()


def test_a_plan_for_another_system_is_not_sent_here(bench: Bench) -> None:
    slug, people = campaign(bench)
    backend = bench.backend()
    plan = replace(bench.planned(backend, slug), host="another-system")
    with pytest.raises(Refused):
        bench.start(backend, plan)
    bench.work()
    assert got(bench, people) == []
    backend.close()


def test_a_second_start_is_told_and_doubles_nothing(bench: Bench) -> None:
    slug, people = campaign(bench)
    backend, other = bench.backend(), bench.backend()
    plan = bench.planned(backend, slug)
    assert bench.start(backend, plan).fresh
    again = bench.start(other, plan)
    assert (again.fresh, again.state.run_id) == (False, plan.run_id)
    another = replace(plan, planned_by="ana")  # of somebody who rehearsed it as well
    assert another.run_id != plan.run_id
    with pytest.raises(Refused):
        other.start(another, "ana")
    bench.work()
    bench.follow(backend, slug)
    with pytest.raises(Refused):  # nor after its end
        other.start(another, "ana")
    bench.work()
    assert got(bench, people) == people
    backend.close()
    other.close()


def test_two_starts_at_the_same_moment_send_once(bench: Bench) -> None:
    slug, people = campaign(bench)
    backends = [bench.backend(), bench.backend()]
    plans = [bench.planned(backend, slug) for backend in backends]
    fresh: list[bool] = []
    gate = threading.Barrier(2)

    def go(number: int) -> None:
        gate.wait()
        try:
            fresh.append(bench.start(backends[number], plans[number]).fresh)
        except Trouble:
            fresh.append(False)

    threads = [threading.Thread(target=go, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(fresh) == [False, True]
    bench.work()
    until(lambda: len(got(bench, people)) >= len(people))
    until(lambda: (s := backends[0].run_state(slug)) and s.says is Says.ENDED)
    assert got(bench, people) == people
    for backend in backends:
        backend.close()


def test_a_start_that_was_given_up_never_comes_late(bench: Bench) -> None:
    slug, people = campaign(bench)
    backend = bench.backend()
    plan = bench.planned(backend, slug)
    assert backend.give_up(slug, plan.run_id) is None
    with pytest.raises(Refused):
        bench.start(backend, plan)
    bench.work()
    assert got(bench, people) == []
    backend.close()


def test_a_run_that_is_there_is_not_given_up(bench: Bench) -> None:
    slug, _ = campaign(bench)
    backend = bench.backend()
    plan = bench.planned(backend, slug)
    bench.sent(backend, plan)
    state = backend.give_up(slug, plan.run_id)
    assert state is not None
    assert (state.run_id, state.says) == (plan.run_id, Says.ENDED)
    backend.close()


def test_following_stops_when_it_is_asked_to(bench: Bench) -> None:
    slug, _ = campaign(bench)
    backend = bench.backend()
    plan = bench.planned(backend, slug)
    bench.slowly()
    bench.start(backend, plan)
    stop = threading.Event()
    stop.set()
    assert backend.follow(slug, 1, 0, lambda data: None, stop).end is None
    bench.quickly()
    bench.work()
    assert bench.follow(backend, slug)[1].end is not None
    backend.close()


def test_only_what_it_says_it_can_is_done_and_a_pause_holds_until_it_goes_on(bench: Bench) -> None:
    needs_signals(bench)
    slug, people = campaign(bench, *(f"p{number}" for number in range(12)))
    backend = bench.backend()
    plan = bench.planned(backend, slug)
    bench.slowly()
    bench.start(backend, plan)
    state = until(lambda: (s := backend.run_state(slug)) and Verb.PAUSE in s.can and s)
    assert Verb.RESUME not in state.can
    with suppress(Refused):
        assert backend.signal(slug, 1, Verb.RESUME).says is state.says
    backend.signal(slug, 1, Verb.PAUSE)
    paused = bench.until_says(backend, slug, Says.PAUSED)
    assert Verb.RESUME in paused.can
    bench.quickly()
    bench.work()
    assert len(got(bench, people)) < len(people)
    assert bench.seen(backend, slug).says is Says.PAUSED
    backend.signal(slug, 1, Verb.RESUME)
    bench.work()
    until(lambda: backend.run_state(slug).says is Says.ENDED)
    assert got(bench, people) == people
    backend.close()


def test_what_was_cancelled_goes_on_no_more(bench: Bench) -> None:
    needs_signals(bench)
    slug, people = campaign(bench, *(f"q{number}" for number in range(12)))
    backend = bench.backend()
    plan = bench.planned(backend, slug)
    bench.slowly()
    bench.start(backend, plan)
    until(lambda: (s := backend.run_state(slug)) and Verb.CANCEL in s.can)
    backend.signal(slug, 1, Verb.CANCEL)
    bench.quickly()
    bench.work()
    _, followed = bench.follow(backend, slug)
    assert followed.end is not None
    assert followed.end.can == frozenset()
    reached = got(bench, people)
    assert len(reached) < len(people)
    assert len(set(reached)) == len(reached)
    for verb in Verb:
        with pytest.raises(Refused):
            backend.signal(slug, 1, verb)
    bench.work()
    assert got(bench, people) == reached
    backend.close()


def test_a_run_that_can_do_nothing_says_so_and_is_told_nothing(bench: Bench) -> None:
    if bench.signals:
        pytest.skip(f"runs of {bench.kind} can be paused and cancelled")
    slug, _ = campaign(bench)
    backend = bench.backend()
    state = bench.start(backend, bench.planned(backend, slug)).state
    assert state.can == frozenset()
    for verb in Verb:
        with pytest.raises(Refused):
            backend.signal(slug, 1, verb)
    bench.work()
    backend.close()


def test_an_operation_is_done_only_to_what_was_seen(bench: Bench) -> None:
    slug, _ = campaign(bench)
    backend: Any = bench.backend()
    backend.observe()
    if not isinstance(backend, Operates):
        pytest.skip(f"{bench.kind} offers no operations")
    offered = (*backend.operations(), *backend.operations(slug))
    before = bench.everything()
    for operation in offered:
        assert operation.source == bench.name
        assert operation.slug in ("", slug)
        assert operation.label
        seen = replace(operation, state=f"{operation.state}?")
        with pytest.raises(Refused):
            backend.operate(seen, "1" if operation.asks else "", "mara", lambda data: None, threading.Event())
    assert len({(one.id, one.slug) for one in offered}) == len(offered)
    assert bench.everything() == before
