"""The pure parts, by tables and by properties."""

import json
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from runner.campaign import metadata
from runner.message.guard import RowTimeout, row_guard
from runner.message.template import Source, Template, trial, unknown_variables
from runner.policy import window


def test_unknown_variables_are_found_without_running_the_template() -> None:
    source = Source("{{ name }}\n{% if frist_name %}{{ 9**9**9 }}{% endif %}{% set x = 1 %}{{ x }}", "t.html", True)
    found = unknown_variables(source, ["email", "name", "first_name"])
    assert [(f.variable, f.line, f.suggestion) for f in found] == [("frist_name", 2, "first_name")]


def test_metadata_names_every_fault_at_once_and_keeps_unknown_keys() -> None:
    bad = {
        "from": 1,
        "timezone": "Mars/Base",
        "window": {"from": "9", "to": "18:00"},
        "max_rate": -1,
        "due_at": "x",
    }
    with pytest.raises(metadata.MetadataError) as error:
        metadata.parse(json.dumps(bad).encode())
    assert len(error.value.problems) == 6
    good = metadata.parse(b'{"subject": "s", "from": "f@example.com", "colour": "red"}')
    assert good.raw["colour"] == "red"


@pytest.mark.parametrize(
    ("html", "limits"),
    [
        ("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", {"cpu_seconds": 1}),
        ("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", {"wall_seconds": 0.3}),
        ("{{ 'a' | center(300000000) }}", {"memory": 100 << 20}),
    ],
)
def test_a_template_that_runs_away_is_cut_off(html: str, limits: dict[str, Any]) -> None:
    found = trial([Source(html, "t.html", True)], {"name": "Ann"}, **limits)
    assert found is not None
    assert "cut off" in found.what
    assert trial([Source("Dear {{ name }}", "t.html", True)], {"name": "Ann"}, **limits) is None


def test_a_row_that_runs_away_is_cut_off_and_the_next_one_is_rendered() -> None:
    loops = Template(Source("{% for a in range(n|int) %}{% for b in range(n|int) %}{% endfor %}{% endfor %}", "t"))
    with pytest.raises(RowTimeout), row_guard(0.2):
        loops.render({"n": "99999"})
    with row_guard(0.2):
        assert loops.render({"n": "3"}) == ""


LONDON = ZoneInfo("Europe/London")


@pytest.mark.parametrize(
    ("days", "opens", "closes", "now", "is_open", "opening"),
    [
        (["mon"], "09:00", "18:00", "2026-05-11T08:00", True, None),
        (["mon"], "09:00", "18:00", "2026-05-11T17:00", False, "2026-05-18T08:00"),
        (["mon"], "22:00", "06:00", "2026-05-12T04:59", True, None),
        (["mon"], "22:00", "06:00", "2026-05-12T05:00", False, "2026-05-18T21:00"),
        (
            ["sun"],
            "01:30",
            "03:00",
            "2026-03-29T00:00",
            False,
            "2026-03-29T01:00",
        ),  # 01:30 doesn't exist that night
        (["sun"], "01:30", "03:00", "2026-10-25T00:00", False, "2026-10-25T00:30"),  # and twice in October
        (["sun"], "09:00", "18:00", "2026-10-25T08:59", False, "2026-10-25T09:00"),
    ],
)
def test_windows_in_their_own_zone(
    days: list[str], opens: str, closes: str, now: str, is_open: bool, opening: str | None
) -> None:
    made = window.parse({"days": days, "from": opens, "to": closes}, LONDON)
    instant = datetime.fromisoformat(now).replace(tzinfo=UTC)
    assert made.is_open(instant) is is_open
    if opening:
        assert made.next_opening(instant) == datetime.fromisoformat(opening).replace(tzinfo=UTC)
