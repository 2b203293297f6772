"""A run in doubt: what everybody says of it stands side by side, and only a person decides who is mailed again."""

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import DataTable

from opsconsole.observation import Counts, Says
from opsconsole.ports import Fate, MaybeStarted, OutOfReach, Refused
from screens.app import OpsConsoleApp
from screens.confirm import ConfirmScreen
from screens.doubt import DoubtScreen
from screens.run import RunScreen
from screens.starting import StartingScreen
from screens.widgets.aside import Aside
from tests.screens.hands import settle, type_text
from tests.screens.night import Night, believable
from tests.screens.test_board import opened, screen_text, toasts, until
from tests.screens.told import broken

SLUG = "harbour-tour"
SIZES = [(80, 24), (160, 50)]


@pytest.fixture
def night(tmp_path: Path) -> Night:
    night = believable(tmp_path)
    night.host.doubts[SLUG] = broken()
    return night


async def looked(app: OpsConsoleApp, pilot: Pilot[Any]) -> DoubtScreen:
    """The screen, with the journal read."""
    await pilot.press("slash", *"harbour", "enter")
    await until(pilot, lambda: getattr(app.screen, "slug", "") == SLUG)
    await pilot.press("D")
    await until(pilot, lambda: isinstance(app.screen, DoubtScreen) and app.screen.seen is not None)
    await pilot.pause()
    assert isinstance(app.screen, DoubtScreen)
    return app.screen


async def confirm(app: OpsConsoleApp, pilot: Pilot[Any], phrase: str, reason: str = "") -> None:
    """Both steps, as somebody who means it."""
    await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
    await settle(pilot)
    await pilot.press("tab", "enter")
    await settle(pilot)
    await type_text(pilot, phrase)
    await pilot.press("tab")
    await type_text(pilot, reason)
    await pilot.press("tab", "tab")
    await pilot.pause(0.02)
    await pilot.press("enter")
    await pilot.pause()


@pytest.mark.parametrize("size", SIZES)
async def test_journal_mail_log_and_dashboard_stand_side_by_side(night: Night, size: tuple[int, int]) -> None:
    async with opened(night, size) as (app, pilot):
        await looked(app, pilot)
        shown = screen_text(app)
        short = ("4,000 accepted", "12 refused", "3 unknown", "5,105 unsent", "has 1 of 3 unknown")
        whole = ("4,000 accepted of 9,120", "12 refused for good", "5,105 never handed over", "has a word of 1")
        for words in (
            "it may have been sent",
            *(short if size[0] < 120 else whole),
            "3 unknown",
            "/var/log/mail.log",
            "dashboard",
            "just now",
            "c•••@example.com",
            "V settle unknown",
            "E send the rest",
            "Z close",
        ):
            assert words in shown
        assert all(len(row) <= size[0] for row in shown.splitlines())
        if size[0] >= 120:
            row = next(line for line in shown.splitlines() if "Journal" in line)
            assert "Mail log" in row
            assert "Others" in row
            assert "dashboard" in shown


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
async def test_each_key_that_does_nothing_says_why(night: Night, size: tuple[int, int]) -> None:
    async with opened(night, size) as (app, pilot):
        await looked(app, pilot)
        assert "Nothing is marked" in screen_text(app)
        await pilot.press("V")
        await pilot.pause()
        assert "Nothing is marked" in toasts(app)[-1]
        night.host.doubts[SLUG] = broken(0, against="The content on the host changed since this run began.")
        await pilot.press("r")
        await until(pilot, lambda: "content on the host changed" in screen_text(app))
        assert "Nobody is unknown" in screen_text(app)
        await pilot.press("E")
        await pilot.pause()
        assert "content on the host changed" in toasts(app)[-1]
        assert night.host.decided == []


@pytest.mark.slow
async def test_marked_rows_are_settled_after_a_typed_phrase_and_the_view_is_read_again(night: Night) -> None:
    async with opened(night) as (app, pilot):
        screen = await looked(app, pilot)
        await pilot.press("space", "space", "up", "space")  # row 1 sent; row 2 sent, then to be sent again
        await pilot.pause()
        assert screen.fates == {4013: Fate.SENT, 4014: Fate.RESEND}
        assert "2 of 3 marked: 1 sent, 1 send again" in screen_text(app)
        await pilot.press("V")
        await until(pilot, lambda: "row 4,014: sent again, they may get it twice" in screen_text(app))
        await confirm(app, pilot, f"{SLUG} 2", "the provider shows one of them")
        await until(pilot, lambda: night.host.decided == [{4013: Fate.SENT, 4014: Fate.RESEND}])
        await until(pilot, lambda: "5,106 never handed over" in screen_text(app))
        assert screen.fates == {}
        assert screen.query_one(DataTable).row_count == 1
        records = night.consoles[0].store().search(action="settle")
        assert {r.phase for r in records} == {"intent", "outcome"}
        assert any(r.reason == "the provider shows one of them" for r in records)


@pytest.mark.slow
async def test_all_are_marked_and_unmarked_with_one_key(night: Night) -> None:
    async with opened(night) as (app, pilot):
        screen = await looked(app, pilot)
        await pilot.press("asterisk")
        assert set(screen.fates.values()) == {Fate.SENT}
        assert len(screen.fates) == 3
        await pilot.press("asterisk")
        assert set(screen.fates.values()) == {Fate.RESEND}
        await pilot.press("backspace")
        assert len(screen.fates) == 2
        await pilot.press("asterisk")
        assert set(screen.fates.values()) == {Fate.SENT}


@pytest.mark.slow
async def test_those_the_mail_log_proves_are_marked_with_one_key(night: Night) -> None:
    async with opened(night) as (app, pilot):
        screen = await looked(app, pilot)
        await pilot.press("l")
        assert screen.fates == {}
        assert any("the mail log proves of nobody" in told for told in toasts(app))
        first, *others = broken().unknown
        night.host.doubts[SLUG] = replace(broken(), unknown=(replace(first, taken=True), *others))
        screen.look()
        await until(pilot, lambda: bool(screen.seen and screen.seen.doubt.unknown[0].taken))
        await pilot.press("l")
        assert screen.fates == {first.row: Fate.SENT}


@pytest.mark.slow
async def test_a_number_that_is_not_the_number_of_rows_settles_nothing(night: Night) -> None:
    async with opened(night) as (app, pilot):
        await looked(app, pilot)
        await pilot.press("asterisk", "V")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        assert isinstance(app.screen, ConfirmScreen)
        assert app.screen.confirmation.phrase == f"{SLUG} 3"
        await confirm(app, pilot, f"{SLUG} 9120")
        assert not isinstance(app.screen, DoubtScreen) or night.host.decided == []
        assert night.host.decided == []


@pytest.mark.slow
async def test_what_was_settled_by_somebody_else_meanwhile_is_no_longer_marked(night: Night) -> None:
    async with opened(night) as (app, pilot):
        screen = await looked(app, pilot)
        await pilot.press("asterisk")
        night.host.decide(SLUG, 1, "x", {4013: Fate.SENT}, "ana")
        await pilot.press("r")
        await until(pilot, lambda: screen.query_one(DataTable).row_count == 2)
        assert set(screen.fates) == {4014, 4015}


@pytest.mark.slow
async def test_the_rest_is_sent_once_while_the_screen_says_what_is_waited_for(night: Night) -> None:
    night.host.doubts[SLUG] = broken(0)
    night.host.slow.clear()
    async with opened(night) as (app, pilot):
        await looked(app, pilot)
        await pilot.press("E")
        await confirm(app, pilot, f"{SLUG} 5108", "the host was rebooted")
        await until(pilot, lambda: isinstance(app.screen, StartingScreen))
        await until(pilot, lambda: "was asked to claim" in screen_text(app))
        assert "intent recorded before anything else" in screen_text(app)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, DoubtScreen))
        await until(pilot, lambda: "being started" in screen_text(app))
        await pilot.press("E")
        await pilot.pause()
        assert "being started at this moment" in toasts(app)[-1]
        night.host.slow.set()
        await until(pilot, lambda: any("has started" in toast for toast in toasts(app)))
        assert isinstance(app.screen, DoubtScreen)
        assert len([r for r in night.consoles[0].store().search(action="send-rest") if r.phase == "intent"]) == 1


@pytest.mark.slow
async def test_coming_back_reads_the_journal_again(night: Night) -> None:
    async with opened(night, (160, 50)) as (app, pilot):
        await looked(app, pilot)
        assert "3 unknown" in screen_text(app)
        await pilot.press("question_mark")
        await pilot.pause()
        night.host.doubts[SLUG] = broken(0)
        await pilot.press("escape")
        await until(pilot, lambda: "0 unknown" in screen_text(app))


@pytest.mark.slow
async def test_j_and_k_go_to_the_rows_below_and_above(night: Night) -> None:
    async with opened(night, (160, 50)) as (app, pilot):
        screen = await looked(app, pilot)
        rows = [one.row for one in night.host.doubts[SLUG].unknown]
        await pilot.press("j", "j", "k", "space")
        await pilot.pause()
        assert screen.fates == {rows[1]: Fate.SENT}


@pytest.mark.slow
async def test_after_the_rest_was_started_the_live_log_follows(night: Night) -> None:
    night.host.doubts[SLUG] = broken(0)
    async with opened(night) as (app, pilot):
        await looked(app, pilot)
        await pilot.press("E")
        await confirm(app, pilot, f"{SLUG} 5108")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))


@pytest.mark.slow
async def test_a_lost_answer_is_asked_about_and_never_repeated(night: Night) -> None:
    night.host.doubts[SLUG] = broken(0)
    night.host.start_error = MaybeStarted("The reply was lost.", "The rest may be going out.", "Ask for the run.")
    async with opened(night) as (app, pilot):
        await looked(app, pilot)
        await pilot.press("E")
        await confirm(app, pilot, f"{SLUG} 5108")
        await until(pilot, lambda: isinstance(app.screen, Aside))
        assert "may have started" in screen_text(app)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))


@pytest.mark.slow
async def test_closing_it_asks_for_a_reason_and_takes_it_off_the_list(night: Night) -> None:
    async with opened(night) as (app, pilot):
        await looked(app, pilot)
        await pilot.press("Z")
        await confirm(app, pilot, f"{SLUG} 9120", "too late to send the rest")
        await until(pilot, lambda: [r.reason for r in night.consoles[0].store().search(action="close")])
        await until(pilot, lambda: any("Closed as it is" in toast for toast in toasts(app)))


@pytest.mark.slow
async def test_a_journal_that_cannot_be_read_is_told_and_decides_nothing(night: Night) -> None:
    def unread(slug: str, attempt: int) -> Any:
        raise OutOfReach("The host did not answer in 5 s.", "Nothing is known of the rest.", "Try r in a moment.")

    night.host.doubt = unread  # type: ignore[method-assign]
    async with opened(night) as (app, pilot):
        await pilot.press("slash", *"harbour", "enter")
        await until(pilot, lambda: getattr(app.screen, "slug", "") == SLUG)
        await pilot.press("D")
        await until(pilot, lambda: "did not answer in 5 s" in screen_text(app))
        await pilot.press("V")
        await pilot.pause()
        assert "did not answer" in toasts(app)[-1]


@pytest.mark.slow
async def test_a_refusal_by_the_host_is_told_and_the_journal_read_again(night: Night) -> None:
    async with opened(night) as (app, pilot):
        screen = await looked(app, pilot)

        def refused(*_: object) -> Any:
            night.host.doubts[SLUG] = broken(2)
            raise Refused("Row 4,015 was settled by ana a moment ago.", "Nothing was written.")

        night.host.decide = refused  # type: ignore[method-assign]
        await pilot.press("asterisk", "V")
        await confirm(app, pilot, f"{SLUG} 3")
        await until(pilot, lambda: isinstance(app.screen, Aside))
        assert "settled by ana" in screen_text(app)
        await pilot.press("escape")
        await until(pilot, lambda: screen.query_one(DataTable).row_count == 2)


@pytest.mark.slow
async def test_text_of_the_journal_and_the_mail_log_is_only_text(night: Night) -> None:
    nasty = "[b] [/x] \x1b[2Jgone \u202egnp"
    doubt = broken(1)
    one = doubt.unknown[0]
    night.host.doubts[SLUG] = broken(
        1, unknown=(type(one)(row=1, who=nasty, message_id=nasty, why=nasty, maillog=nasty),), maillog=nasty
    )
    async with opened(night) as (app, pilot):
        await looked(app, pilot)
        shown = screen_text(app)
        assert "[b] [/x] \\x1b[2Jgone" in shown
        assert "\u202e" not in shown


@pytest.mark.slow
async def test_a_decision_from_the_board_leads_to_what_is_known_first(night: Night) -> None:
    async with opened(night) as (app, pilot):
        await pilot.press("slash", *"harbour", "enter")
        await until(pilot, lambda: getattr(app.screen, "slug", "") == SLUG)
        await pilot.press("E")
        await until(pilot, lambda: isinstance(app.screen, DoubtScreen))
        assert any("Look first" in toast for toast in toasts(app))


@pytest.mark.slow
async def test_a_viewer_sees_all_of_it_and_decides_nothing(tmp_path: Path) -> None:
    night = believable(tmp_path, role="viewer", read_only=True)
    night.host.doubts[SLUG] = broken()
    async with opened(night) as (app, pilot):
        await looked(app, pilot)
        await pilot.press("asterisk", "V")
        await pilot.pause()
        assert "read-only" in toasts(app)[-1]
        assert night.host.decided == []


@pytest.mark.slow
async def test_a_thousand_unknown_are_listed_and_those_behind_them_announced(night: Night) -> None:
    doubt = broken(1000, unknown_total=2412, counts=Counts(total=9120, accepted=4000, unknown=2412))
    night.host.doubts[SLUG] = doubt
    async with opened(night) as (app, pilot):
        screen = await looked(app, pilot)
        assert screen.query_one(DataTable).row_count == 1000
        assert "1,412 more aren't listed" in screen_text(app)
        await pilot.press("asterisk", "space")
        assert "1,000 of 1,000 marked" in screen_text(app), "one marked by itself makes it rows again"
        await pilot.press("asterisk", "asterisk", "asterisk")
        assert "all 2,412 marked: sent" in screen_text(app)
        await pilot.press("V")
        await until(pilot, lambda: f"{SLUG} 2412" in app.screen.confirmation.phrase)  # type: ignore[attr-defined]
        assert threading.active_count() < 60
        assert night.host.words[SLUG].says is Says.STARTED
