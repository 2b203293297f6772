"""One big provider is not flooded, and nobody else waits for it."""

import heapq
import random
from bisect import bisect_left

import pytest

from runner.policy.domains import DomainLimits, lowest

START = 1000.0


def test_a_busy_domain_waits_and_the_others_go_on() -> None:
    limits = DomainLimits({"example.com": 5})
    assert limits
    limits.taken("example.com", START)
    assert limits.wait("example.com", START) == pytest.approx(0.1)
    limits.taken("example.test", START)
    assert limits.wait("example.test", START) == 0
    assert limits.wait("example.com", START + 0.101) == 0


def test_looking_takes_nothing() -> None:
    limits = DomainLimits({"*": 0.1})
    assert [limits.wait("example.com", START) for _ in range(5)] == [0] * 5


def test_those_put_back_come_again_one_by_one_at_their_turns() -> None:
    limits, clock = DomainLimits({"example.com": 5}), START
    back, looks = [(START, number) for number in range(1000)], 0
    times: list[float] = []
    while back:
        at, number = heapq.heappop(back)
        clock, looks = max(clock, at), looks + 1
        if looks == 1300:
            clock += 60  # a pause: many turns have passed meanwhile
        if limits.wait("example.com", clock):
            heapq.heappush(back, (clock + limits.put_back("example.com", clock), number))
        else:
            limits.taken("example.com", clock)
            times.append(clock)
    assert len(times) == 1000
    assert looks < 4 * 1000
    assert times[-1] - START < 1000 / 5 + 60 + 60


def test_those_not_named_have_a_rate_each() -> None:
    limits = DomainLimits({"example.com": 100, "*": 0.5})
    for domain in ("one.test", "two.test"):
        assert limits.wait(domain, START) == 0
        limits.taken(domain, START)
        assert limits.wait(domain, START) > 1
    limits.taken("example.com", START)
    assert limits.wait("example.com", START + 0.01) == 0


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("rate", [0.5, 5, 200])
def test_it_keeps_to_the_rate_and_uses_it(rate: float, seed: int) -> None:
    limits, chance, clock = DomainLimits({"example.com": rate}), random.Random(seed), START
    times: list[float] = []
    while clock < START + 40:
        while not limits.wait("example.com", clock):
            limits.taken("example.com", clock)
            times.append(clock)
        clock += chance.random() * 0.02  # how late a busy send looks
    most = max(bisect_left(times, at + 10) - i for i, at in enumerate(times))
    assert most <= rate * 10.1 + 1.001
    assert len(times) >= rate * 40 * 0.85


def test_a_million_domains_are_not_all_remembered() -> None:
    limits = DomainLimits({"*": 1000})
    for number in range(50_000):
        limits.taken(f"d{number}.test", START + number)
    assert len(limits._next) <= 10_000


def test_nobody_is_limited_without_a_rate() -> None:
    assert not DomainLimits({})


def test_two_tables_bind_together() -> None:
    both = lowest({"a.test": 50, "*": 5}, {"a.test": 70, "b.test": 2, "c.test": 9}, {})
    assert both == {"a.test": 50, "b.test": 2, "c.test": 5, "*": 5}
