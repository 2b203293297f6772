"""How fast a send goes: never faster than was said, and not slower either."""

import heapq
import random
from bisect import bisect_left
from itertools import pairwise

import pytest

from runner.policy.pacer import Pace

RATES = [0.3, 1.0, 7.0, 33.3, 150.0]
START = 1000.0
SEEDS = range(4)


def sent(pace: Pace, workers: int, seconds: float, chance: random.Random, idle: float = 0.0) -> list[float]:
    """The instants at which so many workers send, each busy for a moment with every message; now and then they
    all find nothing to do for a while."""
    free = [(START, number) for number in range(workers)]
    times: list[float] = []
    while free and len(times) < 20_000:
        clock, number = heapq.heappop(free)
        if clock > START + seconds:
            continue
        if idle and chance.random() < 0.02:
            heapq.heappush(free, (clock + idle, number))
            continue
        at = clock + pace.reserve(clock)
        times.append(at)
        heapq.heappush(free, (at + chance.random() * 0.02, number))
    return sorted(times)


def most_in(times: list[float], seconds: float) -> int:
    """The most that fell into any stretch so long."""
    return max((bisect_left(times, at + seconds) - i for i, at in enumerate(times)), default=0)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("idle", [0.0, 0.5, 6.0])
@pytest.mark.parametrize("rate", RATES)
def test_in_any_ten_seconds_never_more_than_the_rate_and_one_burst(rate: float, idle: float, seed: int) -> None:
    chance = random.Random(seed)
    burst, workers = chance.randint(1, 30), chance.randint(1, 20)
    times = sent(Pace(rate, burst), workers, 25.0, chance, idle)
    assert most_in(times, 10.0) <= rate * 10 + burst


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("rate", RATES)
def test_a_busy_send_goes_as_fast_as_it_may(rate: float, seed: int) -> None:
    chance = random.Random(seed)
    burst = chance.randint(1, 5)
    seconds = max(10.0, 20 / rate)
    times = [at for at in sent(Pace(rate, burst), 20, seconds, chance) if at <= START + seconds]
    assert len(times) >= rate * seconds - 1


def test_without_a_limit_nobody_waits() -> None:
    pace = Pace(None)
    assert pace.rate is None
    assert not any(pace.reserve(START) for _ in range(1000))


def test_after_a_lull_one_burst_goes_at_once_and_no_more() -> None:
    pace = Pace(10, burst=4)
    assert [round(pace.reserve(START), 6) for _ in range(6)] == [0, 0, 0, 0, 0.1, 0.2]
    assert [round(pace.reserve(START + 60), 6) for _ in range(6)] == [0, 0, 0, 0, 0.1, 0.2]


def test_after_each_batch_there_is_a_pause() -> None:
    pace = Pace(10, batch=3, pause=5)
    waits = [round(pace.reserve(START), 6) for _ in range(7)]
    assert waits == [0.0, 0.1, 0.2, 5.3, 5.4, 5.5, 10.6]


def test_batches_need_no_rate() -> None:
    pace = Pace(None, batch=2, pause=5)
    assert [pace.reserve(START) for _ in range(5)] == [0, 0, 5, 5, 10]


def test_a_change_of_rate_makes_slots_void_and_counts_at_once() -> None:
    pace = Pace(0.01)
    pace.reserve(START)
    assert pace.reserve(START) == pytest.approx(100)
    turn = pace.turn
    pace.change(10, START + 50)
    assert pace.turn != turn
    assert pace.reserve(START + 50) == pytest.approx(0.05)  # half of the way was behind it, half of it is to come
    pace.change(None, START + 51)
    assert pace.reserve(START + 51) == 0


def test_a_change_to_the_rate_there_is_makes_nothing_void() -> None:
    pace = Pace(5)
    pace.change(5, START)
    pace.cap(50, START)
    assert pace.turn == 0


def test_a_change_within_the_pause_between_batches_leaves_the_pause() -> None:
    pace = Pace(10, batch=1, pause=60)
    pace.reserve(START)
    assert pace.reserve(START) == pytest.approx(60.1)
    pace.change(100, START + 30)
    assert 30 <= pace.reserve(START + 30) <= 30.1


def test_a_batch_whose_slots_were_void_is_still_a_whole_batch() -> None:
    pace = Pace(1, batch=3, pause=100)
    pace.reserve(START)
    pace.reserve(START)
    pace.change(2, START)  # the second waited, so it counts no more
    assert pace.reserve(START) < 1
    assert pace.reserve(START) < 2
    assert pace.reserve(START) > 100


@pytest.mark.parametrize("seed", SEEDS)
def test_however_often_the_rate_is_changed_it_neither_stops_nor_goes_too_fast(seed: int) -> None:
    chance, pace, clock, times = random.Random(seed), Pace(5), START, []
    due, turn = clock + pace.reserve(clock), pace.turn
    while clock < START + 60:
        clock += 0.05
        if due <= clock:
            times.append(clock)
            due = clock + pace.reserve(clock)
        if chance.random() < 0.5:
            pace.change(chance.choice([4, 5, 6]), clock)
        if pace.turn != turn:
            due, turn = clock + pace.reserve(clock), pace.turn
    assert most_in(times, 10.0) <= 6 * 10 + 1
    assert len(times) >= 4 * 60 * 0.8


def test_a_complaint_halves_the_rate_and_many_at_once_are_one() -> None:
    pace = Pace(100)
    for late in range(20):
        pace.slow_down(START + late * 0.1, 100)
    assert pace.rate == 50
    assert pace.slowed
    pace.slow_down(START + 10, 50)
    assert pace.rate == 25


@pytest.mark.parametrize(
    ("limit", "going_at", "then"),
    [(None, 80.0, 40.0), (1000, 80.0, 40.0), (100, 0.0, 50.0), (None, 0.0, 0.5), (0.1, 0.1, 0.1)],
)
def test_what_is_halved_is_the_speed_there_is(limit: float | None, going_at: float, then: float) -> None:
    pace = Pace(limit)
    pace.slow_down(START, going_at)
    assert pace.rate == then


@pytest.mark.parametrize("limit", [None, 80])
def test_it_recovers_step_by_step_up_to_where_it_was(limit: float | None) -> None:
    pace = Pace(limit)
    pace.slow_down(START, 80)
    rates = []
    for quarter in range(4 * 600):
        pace.recover(START + quarter / 4)
        rates.append(pace.rate)
    assert rates[4 * 14] == 40
    assert rates[4 * 16] == 44
    assert rates[-1] == limit
    assert not pace.slowed
    steps = [b - a for a, b in pairwise(r for r in rates if r is not None) if b != a]
    assert steps == [pytest.approx(4)] * len(steps)


def test_what_the_operator_says_ends_the_slowness_but_not_what_others_allow() -> None:
    pace = Pace(100)
    pace.cap(20, START)
    assert pace.rate == 20
    pace.slow_down(START, 20)
    assert pace.rate == 10
    pace.change(None, START + 1)
    assert pace.rate == 20
    pace.cap(None, START + 2)
    assert pace.rate is None
