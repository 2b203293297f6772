"""The promise of every drill: answered on one screen, at most three keys after a cold start, and by --json."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.drills import scenes
from tests.drills.test_drill_07_not_recorded import sent_while_the_dashboard_goes_down
from tests.support.operator import before_the_screens
from tests.support.sshd import Sshd
from tests.support.standins import Systems
from tests.support.world import RealWorld

pytestmark = pytest.mark.slow

TO_THE_TOP = "home"  # where what needs somebody stands: the cursor stays with the row it was first put on
SIZES = ((80, 24), (160, 50))


@dataclass(frozen=True)
class Night:
    """What somebody is woken for. `reads` are regular expressions over the screen's words after `keys`, `json` over
    the sentences that `show --json` tells."""

    slug: str
    status: str
    reads: tuple[str, ...]
    json: tuple[str, ...]
    keys: tuple[str, ...] = ()
    comes_about: Callable[[RealWorld, Systems, pytest.MonkeyPatch], object] = lambda world, systems, patch: None
    beside: bool = False  # the job queue and the provider are asked as well


NIGHTS = {
    "1 approved, never sent": Night(
        "paul-simon-may12",
        "OVERDUE",
        (r"approved by ana", r"t-9a8cae17", r"never started", r"nothing will start it", r"\[p\] pre-?flight"),
        (r"approved by ana .*t-9a8cae17.*never started",),
    ),
    "2 due yesterday": Night(
        "birthday-sail-may11",
        "EXPIRED",
        (r"never started", r"overdue by", r"too late since", r"\[m\] mark", r"\[t\] reschedule", r"\[X\] cancel"),
        (r"overdue by .* too late since .* nothing will start it",),
    ),
    "3 sent yesterday and queued again": Night(
        scenes.LETTER,
        "CONFLICT",
        (
            r"provider says it was sent yesterday",
            r"830 accepted",
            r"jobs has it scheduled",
            r"in \d+ min",
            r"\[h\]",
        ),
        (r"provider says it was sent yesterday \d\d:\d\d .*830 accepted; jobs has it scheduled .* in \d+ min",),
        comes_about=lambda world, systems, patch: scenes.third_round_is_queued(world, systems),
        beside=True,
    ),
    "4 out of memory": Night(
        scenes.STUCK,
        "STALLED",
        (r"nothing has moved for \d+ min", r"126 % used", r"\[a\] attach", r"\[f6\] pause", r"\[f9\] stop"),
        (r"nothing has moved for \d+ min, since .* its memory is 126 % used",),
        comes_about=lambda world, systems, patch: scenes.out_of_memory(patch),
    ),
    "7 sent, not recorded": Night(
        "fleet-week-parking",
        "SENT",
        (r"377 accepted", r"waiting", r"tr(y|ies)"),
        (r"377 accepted", r"waiting \(\d+ tr"),
        keys=("enter",),
        comes_about=lambda world, systems, patch: sent_while_the_dashboard_goes_down(world),
    ),
    "8 fires again": Night(
        "harbor-lights-jul",
        "SENT",
        (r"fires again", r"mail-blasts:\d+", r"\[F\]"),
        (r"mail-blasts:\d+ fires again",),
    ),
    "13 out of reach": Night(
        "paul-simon-may12",
        "UNKNOWN",
        (r"out of reach since", r"a start there would not be seen", r"\[h\] hold"),
        (r"out of reach since .*: a start there would not be seen",),
        comes_about=lambda world, systems, patch: world.server.stop(),
    ),
    "14 credentials for everybody": Night(
        "paul-simon-may12",
        "OVERDUE",
        (r"1 forbid a send", r"0644", r"chmod 600"),
        (r"never started",),
        keys=("p",),
        comes_about=lambda world, systems, patch: world.paths.credentials.chmod(0o644),
    ),
}


@pytest.fixture
def world(sshd: Sshd, no_agent: None) -> Iterator[RealWorld]:
    """In a folder with a short name: on a real host paths are short, and a long one takes a sentence's room."""
    with TemporaryDirectory(prefix="w") as root, RealWorld(sshd, Path(root) / "w") as made:
        yield made


@pytest.mark.parametrize("name", NIGHTS)
async def test_it_is_answered_within_three_keys(
    world: RealWorld, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    night = NIGHTS[name]
    systems = request.getfixturevalue("systems") if night.beside else Systems()
    scenes.only(world, night.slug)
    night.comes_about(world, systems, monkeypatch)
    assert len((TO_THE_TOP, *night.keys)) <= 3

    for size in SIZES:
        async with before_the_screens(world, size, sources=5 if night.beside else 3) as operator:
            await operator.press(TO_THE_TOP)
            await operator.until(lambda: getattr(operator.app.screen, "slug", "") == night.slug)
            await operator.press(*night.keys)
            for expression in (night.status if not night.keys else "", *night.reads):
                await operator.sees_like(expression)

    told = world.spoken(night.slug)
    assert told["status"] == night.status
    said = " ".join(
        [told["why"], *(f["text"] for f in told["findings"]), *(r["says"] for r in told.get("recorded", ()))]
    )
    for expression in night.json:
        assert re.search(expression, said)
