"""Holds as files on the host: made and taken away by a console, never when a person made them."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from backends.blasthost.holds import ALL, put_hold
from opsconsole.campaign import BadSlug
from opsconsole.observation import Hold
from opsconsole.ports import Refused, Trouble
from tests.blasthost.shells import LocalShell, stub
from tests.support.blasthost import SLUG, BlastTree

NOON = datetime(2026, 5, 12, 12, tzinfo=UTC)


def hold(reason: str = "the venue called") -> Hold:
    return Hold(scope=SLUG, by="ana", at=NOON, reason=reason)


@pytest.mark.parametrize("scope", [SLUG, ALL], ids=["campaign", "all"])
def test_a_hold_is_made_changed_and_taken_away_and_repeating_is_harmless(
    tree: BlastTree, shell: list[str], scope: str
) -> None:
    session, settings = LocalShell(shell), tree.settings
    path = tree.holds / scope
    for reason in ("first", "a \"second\"\nwith a line end, 'quotes' and $(things)"):
        for _ in range(2):
            put_hold(session, settings, "blast-test", scope, hold(reason))
            said = json.loads(path.read_text())
            assert said == {
                "by": "ana", "at": NOON.isoformat(), "reason": reason, "scope": scope, "record": "console"
            }  # fmt: skip
    assert [entry.name for entry in tree.holds.iterdir()] == [scope]
    for _ in range(2):
        put_hold(session, settings, "blast-test", scope, None)
        assert list(tree.holds.iterdir()) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not today\n",
        '{"by": "ana", "reason": "mine"}\n',
        '{"by": "", "at": "", "reason": "", "scope": "", "record": ""}\nx\n',
    ],
)
def test_a_mark_that_a_person_made_stays_and_is_quoted(tree: BlastTree, shell: list[str], text: str) -> None:
    tree.holds.mkdir()
    path = tree.holds / SLUG
    path.write_text(text)

    put_hold(LocalShell(shell), tree.settings, "blast-test", SLUG, hold())  # it is held: that will do
    with pytest.raises(Refused, match="made there by hand") as refused:
        put_hold(LocalShell(shell), tree.settings, "blast-test", SLUG, None)

    assert path.read_text() == text
    assert str(path) in str(refused.value)
    assert text.strip()[:9] in str(refused.value)


def test_a_link_is_not_ours_either(tree: BlastTree, tmp_path: Path) -> None:
    put_hold(LocalShell(["sh"]), tree.settings, "blast-test", ALL, hold())
    (tree.holds / SLUG).symlink_to(tree.holds / ALL)
    with pytest.raises(Refused, match="by hand"):
        put_hold(LocalShell(["sh"]), tree.settings, "blast-test", SLUG, None)
    assert (tree.holds / SLUG).is_symlink()


def test_a_hold_that_can_not_be_written_is_a_trouble_and_leaves_none_behind(
    tree: BlastTree, tmp_path: Path, shell: list[str]
) -> None:
    stub(tmp_path / "bin", "mv", "exit 1")
    with pytest.raises(Trouble, match="could not be written"):
        put_hold(LocalShell(shell, tmp_path / "bin"), tree.settings, "blast-test", SLUG, hold())
    assert not (tree.holds / SLUG).exists()


@pytest.mark.parametrize("scope", ["../x", "", "everything else", "a\nb", ".hidden"])
def test_a_scope_outside_the_grammar_reaches_no_host(tree: BlastTree, scope: str) -> None:
    with pytest.raises(BadSlug):
        put_hold(LocalShell(["sh"]), tree.settings, "blast-test", scope, hold())
    assert not tree.holds.exists()
