"""All that an account allows a campaign, and what becomes of it when another account is taken."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from runner.campaign import metadata
from runner.policy.limits import Limits
from runner.run.permits import Permits
from runner.settings import Settings, Smtp

NOON = datetime(2026, 5, 12, 12, tzinfo=UTC).timestamp()
Make = Callable[..., Permits]


def account(name: str, **limits: Any) -> Smtp:
    return Smtp(f"{name}.example.com", 25, "none", limits=Limits(**limits))


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[Permits] = []

    def one(by: Smtp, rate: float | None = None, **more: Any) -> Permits:
        told = metadata.parse(json.dumps({"subject": "May", "from": "news@example.com", **more}).encode())
        settings = Settings("may", "send", tmp_path, tmp_path, tmp_path / "runs", tmp_path / "none", rate=rate)
        made.append(Permits(settings, told, by, 0.0))
        return made[-1]

    yield one
    for permits in made:
        permits.close(NOON)


def test_an_account_without_limits_holds_nothing_up(make: Make, tmp_path: Path) -> None:
    permits = make(account("main"))
    permits.look(NOON, 0.0, paused=False)
    assert not permits.gated
    assert permits.wait(NOON) is None
    assert not permits.domains
    assert permits.pace.rate is None
    assert not list(tmp_path.iterdir())


def test_the_operators_rate_is_bound_by_the_accounts_and_the_campaigns(make: Make) -> None:
    permits = make(account("main", rate=50), rate=200, max_rate=100)
    assert permits.pace.rate == 50
    permits.wish(None, 1.0)
    assert permits.pace.rate == 50
    permits.wish(7, 2.0)
    assert permits.pace.rate == 7
    permits.use(account("other", rate=500), NOON, 3.0)
    permits.wish(None, 3.0)
    assert permits.pace.rate == 100


def test_who_waits_for_a_window_leaves_the_rate_to_the_others(make: Make) -> None:
    by = account("main", rate=50)
    night, day = make(by, window={"from": "22:00", "to": "06:00"}), make(by)
    for clock in (0.0, 1.0, 2.0, 3.0):
        night.look(NOON, clock, paused=False)
        day.look(NOON, clock, paused=False)
    waiting = night.wait(NOON)
    assert waiting is not None
    assert waiting.state == "window"
    assert day.wait(NOON) is None
    assert day.pace.rate == 50


def test_two_that_go_share_and_one_that_pauses_does_not(make: Make) -> None:
    by = account("main", rate=50)
    one, other = make(by), make(by, priority="low")
    for clock in (0.0, 1.0, 2.0, 3.0):
        one.look(NOON, clock, paused=False)
        other.look(NOON, clock, paused=False)
    assert (one.pace.rate, other.pace.rate) == (pytest.approx(40), pytest.approx(10))
    one.look(NOON, 4.0, paused=True)
    other.look(NOON, 4.0, paused=False)
    assert other.pace.rate == 50


def test_the_warm_up_counts_what_begins_and_not_what_never_arrived(make: Make) -> None:
    permits = make(account("main", warmup=(3, 9)), warmup=[5])
    for _ in range(3):
        assert permits.wait(NOON) is None
        given_back = permits.taken()
    waiting = permits.wait(NOON)
    assert waiting is not None
    assert waiting.state == "warm-up"
    given_back()
    permits.close(NOON)
    again = make(account("main", warmup=(3, 9)))
    assert again.wait(NOON) is None
    again.taken()
    assert again.wait(NOON) is not None


def test_what_the_main_account_lost_is_not_sent_by_the_other_besides_its_own(make: Make) -> None:
    permits = make(account("main", warmup=(100,)))
    assert permits.wait(NOON) is None
    in_flight = [permits.taken() for _ in range(20)]
    permits.use(account("other", warmup=(5,)), NOON, 1.0)
    assert permits.wait(NOON) is None
    for given_back in in_flight:  # the server that went away is why the account was changed
        given_back()
    sent = 0
    while permits.wait(NOON) is None:
        permits.taken()
        sent += 1
    assert sent == 5


def test_another_account_has_its_own_limits_and_the_campaigns_stay(make: Make) -> None:
    permits = make(account("main", rate=50, warmup=(1,)), domain_rates={"example.test": 5})
    permits.look(NOON, 0.0, paused=False)
    permits.wait(NOON)
    permits.taken()
    assert permits.wait(NOON) is not None
    permits.use(account("other", domains={"*": 2}), NOON, 1.0)
    assert permits.wait(NOON) is None
    assert permits.pace.rate is None
    for domain in ("example.test", "others.test"):
        permits.domains.taken(domain, 1.0)
        assert permits.domains.wait(domain, 1.0) > 0
