"""The order campaigns stand in, and what is said of the other rounds of a series."""

from datetime import timedelta

import pytest

from opsconsole.observation import Says
from opsconsole.ordering import SORTS, ordered, siblings
from opsconsole.present import round_mark, say_series, say_sibling
from tests.domain.test_filters import told
from tests.screens.told import NOW, campaign, due, run

ENDED = run(timedelta(hours=25), 900, 900, ended_at=NOW - timedelta(hours=24), rc=0)
BOARD = told(
    campaign(
        "b-first",
        when=due("2026-05-11 10:00"),
        series="Welcome",
        round=1,
        rounds=3,
        says=Says.ENDED,
        run=ENDED,
        dashboard=Says.SENT,
        rows=900,
    ),
    campaign("a-second", when=due("2026-05-12 10:00"), series="welcome", round=2, rounds=3),
    campaign("c-third", when=due("2026-05-13 10:00"), series="Welcome", round=3, rounds=3),
    campaign("alone", when=due("2026-05-14 10:00")),
    campaign("autumn", when=due("2026-05-15 10:00"), series="autumn", round=1),
    campaign("timeless", rows=None),
)


def slugs(sort: str, reverse: bool = False) -> list[str]:
    return [v.slug for v in ordered(BOARD.verdicts, sort, reverse)]


def test_the_rounds_of_a_series_stand_under_one_another_and_what_has_none_last() -> None:
    assert slugs("series")[:4] == ["autumn", "b-first", "a-second", "c-third"]
    assert set(slugs("series")[4:]) == {"alone", "timeless"}
    marks = [round_mark(v) for v in ordered(BOARD.verdicts, "series")]
    assert marks == ["1/?", "1/3", "2/3", "3/3", "", ""]


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("reverse", [False, True])
def test_every_order_shows_everybody_once_and_the_same_each_time(sort: str, reverse: bool) -> None:
    assert sorted(slugs(sort, reverse)) == sorted(v.slug for v in BOARD.verdicts)
    again = ordered(ordered(BOARD.verdicts, sort, reverse), sort, reverse) if sort else ()
    assert not sort or [v.slug for v in again] == slugs(sort, reverse)


def test_what_nobody_knows_stands_last_whichever_way_round() -> None:
    for reverse in (False, True):
        assert slugs("due", reverse)[-1] == "timeless"
        assert slugs("audience", reverse)[-1] == "timeless"


def test_a_round_number_out_of_all_reason_keeps_its_place() -> None:
    board = told(campaign("x", series="s", round=10**30, rounds=10**30))
    assert round_mark(board.verdicts[0]) == "…/…"


def test_a_campaign_names_its_other_rounds_with_what_became_of_them() -> None:
    second = BOARD.get("a-second")
    assert second is not None
    assert [say_sibling(v, NOW) for v in siblings(BOARD.verdicts, second)] == [
        "round 1 sent yesterday 09:52 PDT",
        "round 3 pending, due tomorrow 10:00 PDT",
    ]
    third = BOARD.get("c-third")
    assert third is not None
    assert "round 2 OVERDUE, was due today 10:00 PDT" in [
        say_sibling(v, NOW) for v in siblings(BOARD.verdicts, third)
    ]
    alone = BOARD.get("alone")
    assert alone is not None
    assert siblings(BOARD.verdicts, alone) == ()


def test_a_long_series_names_the_rounds_next_to_it_and_counts_the_others() -> None:
    board = told(
        *(campaign(f"w{n:02}", when=due("2026-06-01 10:00"), series="Long", round=n) for n in range(1, 13))
    )
    for slug, named in (("w01", "2 3 4 5"), ("w06", "4 5 7 8"), ("w12", "8 9 10 11")):
        verdict = board.get(slug)
        assert verdict is not None
        said = say_series(verdict, board.verdicts, NOW)
        assert said.startswith(f"round {int(slug[1:])}/? of Long: ")
        assert [part.split()[1] for part in said.partition(": ")[2].split("; ")[:-1]] == named.split()
        assert said.endswith("; and 7 more")
