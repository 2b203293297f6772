"""The board as a command: what is asked for is what is shown, judged and counted, and nothing else is."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from opsconsole import snapshot, wiring
from opsconsole.cli import main
from opsconsole.observation import Report, Says
from tests.domain.test_filters import AGAIN, ENDED, reports
from tests.screens.told import FRESH, NOW, campaign, due

CONFIG = """\
data_dir = "{data}"

[operator]
timezone = "America/Los_Angeles"

[views]
night = "group:attention sort:due"

[environments.prod.blasthost.blast-mail-prod]
ssh = "blast-mail-prod"

[environments.prod.dashboard]
url = "https://dashboard.example.com"
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration and the last known state of a night."""
    known = reports(
        campaign("late", when=due("2026-05-12 10:00"), owner="ana", name="Paul Simon presale"),
        campaign("w1", when=due("2026-05-13 08:00"), series="Welcome", round=1, rounds=2),
        campaign("a-w2", when=due("2026-05-20 08:00"), series="Welcome", round=2, rounds=2, owner="Ruiz, Joan"),
        campaign("soon", when=due("2026-05-12 12:30"), approved=""),
        campaign(
            "summer",
            when=due("2026-05-11 10:00"),
            says=Says.ENDED,
            run=ENDED,
            dashboard=Says.SENT,
            cron=AGAIN,
            rows=830,
        ),
    )
    console = Report(source="console", looked_at=NOW, fresh_for=FRESH, observations=())
    file = tmp_path / "config.toml"
    file.write_text(CONFIG.format(data=tmp_path))
    snapshot.save(tmp_path / "last-known-prod.json", [*known.values(), console])
    monkeypatch.setattr(wiring, "remembered", partial(wiring.remembered, clock=lambda: NOW))
    return file


def call(place: Path, *args: str) -> Result:
    result = CliRunner().invoke(main, ["--config", str(place), *args])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def board(place: Path, *args: str) -> Result:
    return call(place, "board", "--last-known", *args)


def slugs(place: Path, *args: str) -> list[str]:
    shown: dict[str, Any] = json.loads(board(place, *args, "--json").stdout)
    assert sum(shown["groups"].values()) == len(shown["campaigns"])
    return [row["slug"] for row in shown["campaigns"]]


@pytest.mark.parametrize(
    ("args", "found"),
    [
        (("--status", "overdue"), {"late"}),
        (("--status", "overdue", "--status", "PENDING"), {"late", "w1", "a-w2"}),
        (("--group", "upcoming", "--due", "<1d"), {"w1", "soon"}),
        (("--source", "dashboard,blast-mail-prod"), {"late", "w1", "a-w2", "soon", "summer"}),
        (("--series", "welcome"), {"w1", "a-w2"}),
        (("--owner", "Ruiz, Joan"), {"a-w2"}),
        (("--finding", "fires-again"), {"summer"}),
        (("--due", "2026-05-13..2026-05-20"), {"w1", "a-w2"}),
        (("--filter", "simon !sent"), {"late"}),
        (("--view", "night"), {"late", "summer"}),
        (("--view", "night", "--status", "sent"), {"summer"}),
    ],
)
def test_each_option_narrows_what_is_shown(place: Path, args: tuple[str, ...], found: set[str]) -> None:
    assert set(slugs(place, *args)) == found


def test_the_exit_code_speaks_of_what_is_shown(place: Path) -> None:
    assert board(place, "--status", "overdue").exit_code == 1
    assert board(place, "--group", "upcoming").exit_code == 0


def test_what_a_filter_hides_of_those_in_need_is_counted(place: Path) -> None:
    assert "2 more need attention, left out by the filter." in board(place, "--group", "upcoming").stdout
    assert "1 more needs attention" in board(place, "--status", "overdue").stdout
    assert "left out" not in board(place, "--view", "night").stdout


def test_the_rounds_of_a_series_stand_under_one_another(place: Path) -> None:
    assert slugs(place, "--sort", "series")[:2] == ["w1", "a-w2"]
    assert slugs(place, "--sort", "-due")[0] == "a-w2"
    lines = board(place, "--sort", "series").stdout.splitlines()
    first = next(number for number, line in enumerate(lines) if "w1 1/2" in line)
    assert "a-w2 2/2" in lines[first + 1]


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("--group", "atention"), "for --group: There is no group 'atention'. Did you mean 'attention'?"),
        (("--due", "tomorow"), "for --due: due: 'tomorow' is no time. Did you mean 'tomorrow'?"),
        (("--filter", "stauts:sent"), "for --filter: There is no filter 'stauts'. Did you mean 'status'?"),
        (("--sort", "dew"), "for --sort: There is no order 'dew'. Did you mean 'due'?"),
        (("--view", "nigt"), "for --view: There is no view 'nigt'. Did you mean 'night'?"),
    ],
)
def test_a_word_that_is_none_never_reads_as_nobody_in_trouble(
    place: Path, args: tuple[str, ...], says: str
) -> None:
    result = board(place, *args)
    assert result.exit_code == 2
    told = " ".join(result.stderr.split())
    assert says in told


def test_an_empty_answer_names_the_word_nobody_has_for_machines_too(place: Path) -> None:
    asked = ("--series", "welcom")
    said = "No campaign here has the series 'welcom'. Did you mean 'welcome'?"
    assert f"No such campaign. {said}" in board(place, *asked).stdout
    told = board(place, *asked, "--json")
    assert json.loads(told.stdout)["campaigns"] == []
    assert said in told.stderr


def test_the_shell_completes_the_languages_own_words() -> None:
    env = {"_OPSCONSOLE_COMPLETE": "bash_complete", "COMP_WORDS": "opsconsole board --status ov", "COMP_CWORD": "3"}
    said = CliRunner().invoke(main, prog_name="opsconsole", env=env).stdout
    assert said.split() == ["plain,overdue"]


def test_a_view_is_saved_listed_used_and_forgotten(place: Path) -> None:
    assert call(place, "views", "--save", "mine", "owner:ana").exit_code == 0
    assert slugs(place, "--view", "mine") == ["late"]
    listed = json.loads(call(place, "views", "--json").stdout)
    assert [(v["name"], v["own"]) for v in listed["views"]] == [("night", False), ("mine", True)]
    assert call(place, "views", "--forget", "mine").exit_code == 0
    assert "mine" not in call(place, "views").stdout


def test_a_view_that_cannot_be_read_is_not_saved_and_a_damaged_file_is_told(place: Path) -> None:
    refused = call(place, "views", "--save", "mine", "stauts:sent")
    assert refused.exit_code == 2
    assert "Did you mean 'status'" in refused.stderr
    file = place.parent / "views.json"
    file.write_text('{"version": 1, "views": {"old": "stauts:sent"}}')
    assert "! There is no filter 'stauts'" in call(place, "views").stdout
    file.write_text("{")
    told = call(place, "views")
    assert told.exit_code == 1
    assert "can't be read" in told.stderr
    assert "night" in told.stdout
    assert "can't be read" in " ".join(board(place, "--view", "old").stderr.split())
