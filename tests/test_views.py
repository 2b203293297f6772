"""Saved views: where they come from, how they are kept, and what a damaged file costs."""

import json
import stat
from pathlib import Path

import pytest

from opsconsole.config import ConfigError, parse
from opsconsole.views import ViewError, Views, forget, load, save, views_path

CONFIGURED = {"night": "group:attention sort:due"}


def names(views: Views) -> list[str]:
    return [view.name for view in views.views]


def test_a_saved_view_is_there_again_beside_the_configured_ones_and_only_for_its_owner(tmp_path: Path) -> None:
    path = views_path(tmp_path)
    save(CONFIGURED, path, "ana-s", "owner:ana")
    again = load(CONFIGURED, path)
    assert names(again) == ["night", "ana-s"]
    assert again.get("ANA-S").query == "owner:ana"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["views.json"]


def test_saving_again_under_a_name_takes_its_place_and_forgetting_takes_it_away(tmp_path: Path) -> None:
    path = views_path(tmp_path)
    save({}, path, "Late", "status:overdue")
    save({}, path, "late", "status:overdue,unknown")
    assert [(v.name, v.query) for v in load({}, path).views] == [("late", "status:overdue,unknown")]
    assert forget({}, path, "late").views == ()
    with pytest.raises(ViewError, match="no view 'late'"):
        forget({}, path, "late")


def test_what_stands_in_the_configuration_is_changed_there(tmp_path: Path) -> None:
    path = views_path(tmp_path)
    with pytest.raises(ViewError, match="stands in the configuration"):
        save(CONFIGURED, path, "Night", "x")
    with pytest.raises(ViewError, match="stands in the configuration"):
        forget(CONFIGURED, path, "night")


@pytest.mark.parametrize("name", ["", " x", "a" * 25, "a\x1b[2J", "a\n", "../x", "[bold]"])
def test_a_name_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ViewError, match="can't name a view"):
        save({}, views_path(tmp_path), name, "x")


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"[]",
        b'{"version": 2, "views": {}}',
        b'{"version": 1, "views": {"a": 1}}',
        b'{"version": 1, "views": {"\\u001b[2J": "x"}}',
        b"\xff\xfe",
        b"[" * 100_000,
        b" " * 300_000,
    ],
)
def test_a_damaged_file_is_told_costs_only_its_own_views_and_is_never_written_over(
    tmp_path: Path, content: bytes
) -> None:
    path = views_path(tmp_path)
    path.write_bytes(content)
    views = load(CONFIGURED, path)
    assert names(views) == ["night"]
    assert "can't be read" in views.trouble
    assert str(path) in views.trouble
    with pytest.raises(ViewError, match="can't be read"):
        save(CONFIGURED, path, "x", "y")
    assert path.read_bytes() == content


def test_a_view_that_cannot_be_written_says_so_and_leaves_the_old_ones(tmp_path: Path) -> None:
    path = views_path(tmp_path / "file")
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(ViewError, match="can't be read"):
        save({}, path, "x", "y")


def test_a_view_that_is_not_there_names_the_one_likely_meant(tmp_path: Path) -> None:
    with pytest.raises(ViewError, match="Did you mean 'night'"):
        load(CONFIGURED, views_path(tmp_path)).get("nigt")


def test_a_wrong_view_in_the_configuration_is_named_with_its_line() -> None:
    good = '[views]\nlate = "status:overdue,unknown sort:due"\n"two words" = "due:today.."\n'
    assert parse(good, "c.toml").views["late"] == "status:overdue,unknown sort:due"
    with pytest.raises(ConfigError) as error:
        parse('[views]\nlate = "stauts:overdue"\n"[x]" = "a"\nn = 1\n', "c.toml")
    assert "views: expected `str`, got `int`" in str(error.value)
    with pytest.raises(ConfigError) as error:
        parse('[views]\nlate = "stauts:overdue"\n"-x" = "a"\n', "c.toml")
    assert error.value.problems[0].startswith("c.toml:2: views.late: There is no filter 'stauts'. Did you mean")
    assert "c.toml:3: views.-x: '-x' can't name a view" in error.value.problems[1]


def test_the_file_is_plain_enough_to_be_mended_by_hand(tmp_path: Path) -> None:
    path = views_path(tmp_path)
    save({}, path, "late", "status:overdue")
    assert json.loads(path.read_text()) == {"version": 1, "views": {"late": "status:overdue"}}
