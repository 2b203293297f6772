"""Several campaigns go at once and share what their account may."""

import itertools
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.policy.limits import PRIORITIES, Priority
from runner.policy.shares import portion
from runner.run.share import Share

GROUPS = [group for size in range(1, 6) for group in itertools.combinations_with_replacement(PRIORITIES, size)]
HOLD = """
import sys, time
from pathlib import Path
from runner.run.share import Share
share = Share(Path(sys.argv[1]), "high", 100)
share.look(0)
print("there", flush=True)
sys.stdin.read()
"""


def parts(group: tuple[Priority, ...]) -> list[float]:
    return [portion(one, group[:i] + group[i + 1 :]) for i, one in enumerate(group)]


@pytest.mark.parametrize("group", GROUPS, ids="-".join)
def test_the_account_is_divided_wholly_and_nobody_starves(group: tuple[Priority, ...]) -> None:
    found = parts(group)
    assert sum(found) == pytest.approx(1)
    assert min(found) >= 0.04 / len(group)
    for level in PRIORITIES:
        assert len({round(part, 9) for one, part in zip(group, found, strict=True) if one == level}) <= 1


@pytest.mark.parametrize("group", [group for group in GROUPS if len(group) > 1], ids="-".join)
def test_when_one_ends_nobody_gets_less(group: tuple[Priority, ...]) -> None:
    for gone in range(len(group)):
        before = parts(group)
        del before[gone]
        after = parts(group[:gone] + group[gone + 1 :])
        assert all(a >= b - 1e-9 for a, b in zip(after, before, strict=True))


def test_the_higher_priority_goes_first() -> None:
    assert parts(("high", "normal", "low")) == pytest.approx([0.8, 0.16, 0.04])
    assert parts(("high", "low", "low")) == pytest.approx([0.8, 0.1, 0.1])
    assert parts(("normal", "normal")) == [0.5, 0.5]


@pytest.fixture
def shares(tmp_path: Path) -> Iterator[list[Share]]:
    made: list[Share] = []
    yield made
    for share in made:
        share.leave()


def came(folder: Path, shares: list[Share], priority: Priority, clock: float) -> Share:
    share = Share(folder, priority, 100)
    shares.append(share)
    share.look(clock)
    return share


def test_one_alone_has_all_of_it_at_once(tmp_path: Path, shares: list[Share]) -> None:
    share = came(tmp_path / "new" / "account", shares, "low", 0)
    assert share.wait(0) is None
    assert share.rate == 100


def test_who_comes_waits_until_the_others_have_made_room(tmp_path: Path, shares: list[Share]) -> None:
    first = came(tmp_path, shares, "normal", 0)
    second = came(tmp_path, shares, "high", 0.5)
    waiting = second.wait(7)
    assert waiting is not None
    assert (waiting.state, waiting.until) == ("share", None)
    assert first.look(1.0)
    assert first.rate == pytest.approx(20)
    second.look(3.1)
    assert second.wait(7) is None
    assert second.rate == pytest.approx(80)


def test_who_pauses_leaves_its_share_to_the_others(tmp_path: Path, shares: list[Share]) -> None:
    first = came(tmp_path, shares, "normal", 0)
    second = came(tmp_path, shares, "normal", 0)
    first.look(1)
    assert first.rate == 50
    second.look(2, wanting=False)
    assert second.wait(0) is not None
    first.look(2)
    assert first.rate == 100
    second.look(3)
    assert second.wait(0) is not None
    assert first.look(3)
    assert second.rate == first.rate == 50


def test_they_are_never_faster_than_the_account_together(tmp_path: Path, shares: list[Share]) -> None:
    chance = random.Random(7)
    shares += [Share(tmp_path, chance.choice(PRIORITIES), 100) for _ in range(6)]
    wanting = dict.fromkeys(shares, False)
    busiest = 0.0
    for quarter in range(400):
        for share in shares:
            if chance.random() < 0.05:
                wanting[share] = not wanting[share]
            if chance.random() < 0.8:  # some ticks are late
                share.look(quarter / 4, wanting[share])
        busiest = max(busiest, sum(share.rate for share in shares if share.wait(0) is None))
    assert 99 < busiest < 100.001


def test_the_share_of_a_process_that_was_killed_is_free(tmp_path: Path, shares: list[Share]) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"there\n"
        share = came(tmp_path, shares, "low", 0)
        assert share.rate == pytest.approx(20)
    finally:
        holder.kill()
        holder.communicate(timeout=30)
    assert share.look(5)
    assert share.rate == 100
    assert len(list(tmp_path.iterdir())) == 1


def test_when_the_others_cannot_be_seen_nothing_goes(tmp_path: Path, shares: list[Share]) -> None:
    (tmp_path / "file").write_text("")
    waiting = came(tmp_path / "file" / "account", shares, "high", 0).wait(0)
    assert waiting is not None
    assert "can't be told" in waiting.why
    share = came(tmp_path / "account", shares, "high", 0)
    for mark in (tmp_path / "account").iterdir():
        mark.unlink()
    share.look(1)
    assert share.wait(0) is not None
    share.look(1.25)
    assert share.wait(0) is None
