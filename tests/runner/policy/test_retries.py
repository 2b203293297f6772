"""A deferred message is tried again, later and later, and not for ever."""

import pytest

from runner.policy.retries import TRIES, due


@pytest.mark.parametrize("chance", [0.0, 0.3, 1.0])
def test_three_tries_in_all_that_outlast_greylisting(chance: float) -> None:
    waits = [due(attempt, 60.0, chance) for attempt in range(1, TRIES)]
    assert len(waits) == 2
    assert sum(wait for wait in waits if wait is not None) >= 300
    assert due(TRIES, 60.0, chance) is None


def test_each_wait_is_longer_than_the_one_before_and_chance_spreads_it() -> None:
    for attempt in range(1, TRIES):
        first, last = due(attempt, 60.0, 0.0), due(attempt, 60.0, 1.0)
        assert first is not None
        assert last is not None
        assert first < last < 4 * first
        assert first == 60 * 4 ** (attempt - 1)
